-- A sale as the catalog describes a show now: its seats and prices apart, when and how it is
-- sold, the seats that the catalog has proposed to drop, and the answers it has not heard yet.

ALTER TYPE booking.sale_state ADD VALUE 'DRAFT';
ALTER TYPE booking.sale_state ADD VALUE 'PAUSED';
ALTER TYPE booking.sale_state ADD VALUE 'CLOSED';
CREATE TYPE booking.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');

-- The tier of each seat, frozen as its price is. Until now each section was a tier.
ALTER TABLE booking.bookings ADD COLUMN seat_tiers text[];

WITH counted AS (
    SELECT
        s.show_id,
        section.place,
        section.description ->> 'name' AS name,
        (
            SELECT sum(CASE jsonb_typeof(r -> 'seats')
                WHEN 'number' THEN (r ->> 'seats')::integer
                ELSE jsonb_array_length(r -> 'seats')
            END)
            FROM jsonb_array_elements(section.description -> 'rows') AS r
        ) AS seat_count
    FROM booking.sales AS s
    CROSS JOIN jsonb_array_elements(s.layout -> 'sections') WITH ORDINALITY AS section (description, place)
), sections AS (
    SELECT show_id, name, seat_count,
        sum(seat_count) OVER (PARTITION BY show_id ORDER BY place) AS seats_up_to
    FROM counted
)
UPDATE booking.bookings AS b
SET seat_tiers = ARRAY(
    SELECT sections.name
    FROM unnest(b.seat_ordinals) WITH ORDINALITY AS seat (ordinal, place)
    JOIN sections ON sections.show_id = b.show_id
        AND seat.ordinal < sections.seats_up_to AND seat.ordinal >= sections.seats_up_to - sections.seat_count
    ORDER BY seat.place
);

ALTER TABLE booking.bookings ALTER COLUMN seat_tiers SET NOT NULL;

ALTER TABLE booking.sales
    -- When a DRAFT goes on sale by itself; null: it does not.
    ADD COLUMN sales_open_at timestamptz,
    -- When the sale ends by itself; null: when the show starts.
    ADD COLUMN sales_close_at timestamptz,
    -- How long a reservation that does not say so holds its seats; null: as the service is set.
    ADD COLUMN hold_ms integer CHECK (hold_ms BETWEEN 10000 AND 1800000),
    -- The most seats of one booking; null: as the service is set.
    ADD COLUMN seats_per_booking_max integer CHECK (seats_per_booking_max BETWEEN 1 AND 100),
    -- The most seats of one customer's live bookings; null: no limit.
    ADD COLUMN places_per_customer_max integer CHECK (places_per_customer_max BETWEEN 1 AND 10000),
    ADD COLUMN orphan_rule booking.orphan_rule NOT NULL DEFAULT 'OFF',
    ADD COLUMN prices jsonb,
    -- Which ordinal each seat of the layout has, and what the seats were that it has no more;
    -- a JSON null: a seat's ordinal is its place in the layout.
    ADD COLUMN numbering jsonb NOT NULL DEFAULT 'null',
    -- The revision of the catalog's proposal that has been answered and not been decided there.
    ADD COLUMN proposal bigint CHECK (proposal > 0),
    -- The ordinals of the seats that are off sale because that proposal drops them.
    ADD COLUMN withdrawn integer[] NOT NULL DEFAULT '{}',
    -- Whether the show is off sale because that proposal deletes it.
    ADD COLUMN off_sale boolean NOT NULL DEFAULT false,
    -- How many ordinals were ever given. A show may have areas alone.
    DROP CONSTRAINT sales_seat_count_check,
    ADD CONSTRAINT sales_seat_count_check CHECK (seat_count >= 0),
    ADD CONSTRAINT withdrawn_by_a_proposal CHECK (
        proposal IS NOT NULL OR (NOT off_sale AND cardinality(withdrawn) = 0)
    );

UPDATE booking.sales AS s
SET
    prices = (
        SELECT jsonb_build_object('currency', s.layout -> 'currency', 'tiers', jsonb_agg(
            jsonb_build_object(
                'name', section -> 'name',
                'price', section -> 'price',
                'sections', jsonb_build_array(section -> 'name')
            ) ORDER BY place
        ))
        FROM jsonb_array_elements(s.layout -> 'sections') WITH ORDINALITY AS described (section, place)
    ),
    layout = (
        SELECT jsonb_build_object('sections', jsonb_agg(
            jsonb_build_object('name', section -> 'name', 'rows', (
                SELECT jsonb_agg(
                    -- Names are unique in their section now; those of labelled rows were not.
                    CASE WHEN name <> '' AND (counted OR same_name = 1)
                        THEN jsonb_build_object('names', jsonb_build_object('list', jsonb_build_array(name)))
                        ELSE '{}'
                    END
                    || CASE WHEN counted
                        THEN jsonb_build_object('runs', jsonb_build_array(jsonb_build_object(
                            'numbers', jsonb_build_object('first', 1, 'last', seats)
                        )))
                        ELSE jsonb_build_object(
                            'runs', jsonb_build_array(jsonb_build_object('list', seats)),
                            'label_format', '{seat}'
                        )
                    END
                    ORDER BY row_place
                )
                FROM (
                    SELECT row_place, coalesce(r ->> 'name', '') AS name, r -> 'seats' AS seats,
                        jsonb_typeof(r -> 'seats') = 'number' AS counted,
                        count(*) OVER (PARTITION BY coalesce(r ->> 'name', '')) AS same_name
                    FROM jsonb_array_elements(section -> 'rows') WITH ORDINALITY AS described (r, row_place)
                ) AS rows
            )) ORDER BY place
        ))
        FROM jsonb_array_elements(s.layout -> 'sections') WITH ORDINALITY AS described (section, place)
    );

ALTER TABLE booking.sales ALTER COLUMN prices SET NOT NULL;

-- Answers to the catalog's proposals that it has not heard yet, written in the transaction that
-- makes them true; whoever has told one deletes it.
CREATE TABLE booking.answers (
    show_id      uuid PRIMARY KEY REFERENCES booking.sales,
    -- The catalog's revision that made the proposal.
    proposal     bigint NOT NULL CHECK (proposal > 0),
    accepted     boolean NOT NULL,
    -- The labels of the seats with live bookings, if that is why it was refused.
    booked_seats text[] NOT NULL CHECK (cardinality(booked_seats) <= 100),
    CONSTRAINT accepted_without_bookings CHECK (NOT accepted OR cardinality(booked_seats) = 0)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON booking.answers TO booking_svc;

CREATE OR REPLACE FUNCTION booking.is_sound(b booking.bookings) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    broken text := CASE
        -- A booking's id begins with the 48-bit key of its show.
        WHEN substr(uuid_send(b.booking_id), 1, 6) <> substr(uuid_send(b.show_id), 1, 6)
            THEN 'booking_id_nests'
        WHEN b.version < 1 THEN 'bookings_version_check'
        WHEN num_nonnulls(b.customer_id, b.email) <> 1 THEN 'one_customer'
        WHEN char_length(b.customer_id) NOT BETWEEN 1 AND 128 THEN 'bookings_customer_id_check'
        WHEN char_length(b.email) NOT BETWEEN 3 AND 254 THEN 'bookings_email_check'
        WHEN cardinality(b.seat_ordinals) NOT BETWEEN 1 AND 100
            OR cardinality(b.seat_prices) <> cardinality(b.seat_ordinals)
            THEN 'a_price_for_each_seat'
        WHEN cardinality(b.seat_tiers) <> cardinality(b.seat_ordinals) THEN 'a_tier_for_each_seat'
        WHEN b.total < 0 THEN 'bookings_total_check'
        WHEN char_length(b.currency) <> 3 THEN 'bookings_currency_check'
        WHEN b.expires_at NOT BETWEEN b.created_at + interval '10 s' AND b.created_at + interval '30 min'
            THEN 'hold_length'
        WHEN b.confirmed_at < b.created_at OR b.confirmed_at >= b.expires_at THEN 'confirmed_in_time'
        -- IS NOT TRUE: a comparison with a null is neither true nor false.
        WHEN CASE b.state
            WHEN 'PENDING' THEN num_nonnulls(b.confirmed_at, b.cancelled_at, b.failed_at) = 0
            WHEN 'CONFIRMED' THEN
                b.confirmed_at IS NOT NULL AND num_nonnulls(b.cancelled_at, b.failed_at) = 0
            WHEN 'CANCELLED' THEN
                b.cancelled_at >= coalesce(b.confirmed_at, b.created_at) AND b.failed_at IS NULL
            WHEN 'FAILED' THEN
                b.failed_at >= b.created_at AND num_nonnulls(b.confirmed_at, b.cancelled_at) = 0
        END IS NOT TRUE THEN 'state_agrees'
        WHEN (b.state = 'FAILED') <> (b.failure_reason IS NOT NULL) THEN 'failed_for_a_reason'
        WHEN b.failure_reason = 'EXPIRED' AND b.failed_at <> b.expires_at THEN 'expired_when_it_ended'
        -- What follows is about these two alone; most bookings have neither.
        WHEN num_nonnulls(b.cancel_reason, b.refund_due) = 0 THEN NULL
        WHEN b.cancel_reason IS NOT NULL AND b.state <> 'CANCELLED' THEN 'cancelled_for_a_reason'
        WHEN b.refund_due IS NOT NULL AND (b.state <> 'CANCELLED' OR b.confirmed_at IS NULL)
            THEN 'refunded_after_a_sale'
        WHEN b.refund_due NOT BETWEEN 1 AND b.total THEN 'refund_within_total'
        WHEN b.cancel_reason = 'SHOW_CANCELLED'
            AND (b.confirmed_at IS NULL OR b.refund_due IS DISTINCT FROM nullif(b.total, 0))
            THEN 'refunded_whole'
    END;
BEGIN
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'booking % breaks the rule %', b.booking_id, broken
            USING ERRCODE = 'check_violation', SCHEMA = 'booking', TABLE = 'bookings', CONSTRAINT = broken;
    END IF;
    RETURN true;
END
$$;

CREATE OR REPLACE VIEW booking.bookings_now AS
SELECT
    b.show_id,
    b.booking_id,
    CASE WHEN lapsed THEN 'FAILED' ELSE b.state END AS state,
    CASE WHEN lapsed THEN 'EXPIRED' ELSE b.failure_reason END AS failure_reason,
    b.version,
    b.customer_id,
    b.email,
    b.seat_ordinals,
    b.seat_prices,
    b.total,
    b.currency,
    b.created_at,
    b.expires_at,
    b.confirmed_at,
    b.cancelled_at,
    CASE WHEN lapsed THEN b.expires_at ELSE b.failed_at END AS failed_at,
    b.refund_due,
    b.cancel_reason,
    b.seat_tiers
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
