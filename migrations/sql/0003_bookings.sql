-- Schema booking, second part: bookings with their rules, and the seats and areas that they have.


-- Bookings

CREATE TYPE booking.booking_state AS ENUM ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED');
COMMENT ON TYPE booking.booking_state IS
    'PENDING: holds its seats and places until expires_at. CONFIRMED: has them. CANCELLED and '
    'FAILED: has none. docs/booking-states.md has the transitions.';

CREATE TYPE booking.failure_reason AS ENUM ('EXPIRED', 'PAYMENT_DECLINED', 'SHOW_CANCELLED');
COMMENT ON TYPE booking.failure_reason IS 'Why a PENDING booking has FAILED.';

CREATE TYPE booking.cancel_reason AS ENUM ('CUSTOMER', 'SHOW_CANCELLED');
COMMENT ON TYPE booking.cancel_reason IS 'Who ended a booking that is CANCELLED.';

CREATE TYPE booking.payment_state AS ENUM ('STARTED', 'CAPTURED', 'DECLINED');
COMMENT ON TYPE booking.payment_state IS
    'Where an attempt to pay is. STARTED: its outcome is not known yet.';

-- The rules of a row are in is_sound below.
--
-- No foreign key to sales: it would be checked for every booking. Every batch locks the sales of
-- its bookings, so that none is made for a show that does not exist. A faulty service could make
-- one, but it could own no seat.
CREATE TABLE booking.bookings (
    show_id            uuid NOT NULL,
    booking_id         uuid NOT NULL,
    state              booking.booking_state NOT NULL,
    failure_reason     booking.failure_reason,
    cancel_reason      booking.cancel_reason,
    version            integer NOT NULL,
    customer_id        text,
    email              text,
    -- No foreign key: it would be checked for every booking, and no role may delete customers.
    linked_customer_id uuid,
    seat_ordinals      integer[] NOT NULL,
    seat_prices        bigint[] NOT NULL,
    seat_tiers         text[] NOT NULL,
    areas              jsonb,
    orphans            integer[],
    total              bigint NOT NULL,
    currency           text NOT NULL,
    released           bigint,
    refund_due         bigint,
    payment_key        uuid,
    payment_state      booking.payment_state,
    payment_reference  text,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    places_held_until  timestamptz,
    confirmed_at       timestamptz,
    cancelled_at       timestamptz,
    failed_at          timestamptz,
    PRIMARY KEY (show_id, booking_id)
) WITH (
    -- Vacuum and analyze after 2 % instead of 20 %: every booking leaves an old version behind.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02,
    -- Every booking is changed soon after it is made: half of each page is left for that.
    fillfactor = 50
);

COMMENT ON TABLE booking.bookings IS
    'Who holds, has or had which seats and places of a show. A booking is never deleted, and its '
    'id never changes. If you read, read bookings_now: it shows expired holds as FAILED.';
COMMENT ON COLUMN booking.bookings.booking_id IS 'Begins with the 48-bit key of its show.';
COMMENT ON COLUMN booking.bookings.version IS
    '1 when it is made; each further event in the log adds 1.';
COMMENT ON COLUMN booking.bookings.customer_id IS
    'Whom it is for, by an id that the caller manages; else email is set.';
COMMENT ON COLUMN booking.bookings.email IS
    'Whom it is for, by the e-mail address that it was made with, in the form of customers.email; '
    'else customer_id is set.';
COMMENT ON COLUMN booking.bookings.linked_customer_id IS
    'The row of customers that it belongs to; null if customer_id is set. Never changes.';
COMMENT ON COLUMN booking.bookings.seat_ordinals IS 'Its seats, ascending.';
COMMENT ON COLUMN booking.bookings.seat_prices IS
    'The price of each of those seats in minor units, frozen when it was taken.';
COMMENT ON COLUMN booking.bookings.seat_tiers IS
    'The price tier of each of those seats, frozen too.';
COMMENT ON COLUMN booking.bookings.areas IS
    'Its places: [{"area": ..., "quantity": ..., "price": of each, "tier": ...}, ...], at frozen '
    'prices. Null if it has none, as most bookings.';
COMMENT ON COLUMN booking.bookings.orphans IS
    'The ordinals of the orphans that it left, if its seats were chosen by label and the show has '
    'an orphan rule. Ascending, at most two for each of its seats. Null if there are none.';
COMMENT ON COLUMN booking.bookings.total IS
    'What its seats and places cost together, in minor units.';
COMMENT ON COLUMN booking.bookings.currency IS 'ISO 4217 code.';
COMMENT ON COLUMN booking.bookings.released IS
    'The price of what was given back after it was confirmed, in minor units; null if nothing was. '
    'Together with the total it is what was paid.';
COMMENT ON COLUMN booking.bookings.refund_due IS
    'What is owed to the customer, in minor units; null if nothing is.';
COMMENT ON COLUMN booking.bookings.payment_key IS 'The newest attempt to pay: a row of payments.';
COMMENT ON COLUMN booking.bookings.payment_state IS
    'The state of that attempt, as in its row. Here too, because a batch locks this row to decide.';
COMMENT ON COLUMN booking.bookings.payment_reference IS
    'The reference of a payment that was taken elsewhere.';
COMMENT ON COLUMN booking.bookings.expires_at IS
    'When its hold ends, by the database''s clock, whether or not the row says FAILED by then.';
COMMENT ON COLUMN booking.bookings.places_held_until IS
    'While it is PENDING and has places, its expires_at; else null.';
COMMENT ON COLUMN booking.bookings.cancelled_at IS 'When a PENDING or CONFIRMED one was cancelled.';
COMMENT ON COLUMN booking.bookings.failed_at IS
    'When it failed. For an expired hold that is expires_at, however late it is recorded.';

-- No index has a column that confirm, cancel or expire changes, or a predicate on one. So the next
-- version of the row stays on its page, and no index is written (HOT; see
-- docs/adr/0010-no-index-that-breaks-hot.md). The only exception is the last index.

CREATE INDEX bookings_by_expiry ON booking.bookings (expires_at);
COMMENT ON INDEX booking.bookings_by_expiry IS
    'For expiry-worker. Bookings of every state stay in it, and the worker reads over them.';
CREATE INDEX bookings_by_customer ON booking.bookings (customer_id, show_id, booking_id)
    WHERE customer_id IS NOT NULL;
COMMENT ON INDEX booking.bookings_by_customer IS
    'Lists of a customer''s bookings by an id that the caller manages.';
CREATE INDEX bookings_by_email ON booking.bookings (email, show_id, booking_id)
    WHERE email IS NOT NULL;
COMMENT ON INDEX booking.bookings_by_email IS 'Lists of a customer''s bookings by e-mail address.';
CREATE INDEX bookings_by_linked_customer ON booking.bookings (linked_customer_id, show_id, booking_id)
    WHERE linked_customer_id IS NOT NULL;
COMMENT ON INDEX booking.bookings_by_linked_customer IS
    'Lists of a customer''s bookings by the customer''s record.';
CREATE INDEX bookings_holding_places ON booking.bookings (show_id, places_held_until)
    WHERE places_held_until IS NOT NULL;
COMMENT ON INDEX booking.bookings_holding_places IS
    'Holds with places, and nothing else: those that go on, and those that have expired and are '
    'not FAILED yet. A booking without places never touches it.';

-- One function instead of a CHECK for each rule: PostgreSQL parses the text of each CHECK again for
-- every statement, however small, but prepares a function once per connection.
CREATE FUNCTION booking.is_sound(b booking.bookings) RETURNS boolean
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
        WHEN cardinality(b.seat_ordinals) NOT BETWEEN CASE WHEN b.areas IS NULL THEN 1 ELSE 0 END AND 100
            OR cardinality(b.seat_prices) <> cardinality(b.seat_ordinals)
            THEN 'a_price_for_each_seat'
        WHEN cardinality(b.seat_tiers) <> cardinality(b.seat_ordinals) THEN 'a_tier_for_each_seat'
        WHEN b.total < 0 THEN 'bookings_total_check'
        WHEN char_length(b.currency) <> 3 THEN 'bookings_currency_check'
        -- The longest life of a hold, however often it is extended. An attempt to pay begins within
        -- that, takes up to 10 min, and leaves what was left before it, up to 30 min; so does one
        -- that is found out about later, while what it left goes on.
        WHEN b.expires_at NOT BETWEEN b.created_at + interval '10 s' AND b.created_at + CASE
            WHEN b.payment_key IS NULL THEN interval '120 min' ELSE interval '190 min'
        END THEN 'hold_length'
        -- Money that comes late reinstates a booking whose hold has expired.
        WHEN b.confirmed_at < b.created_at
            OR b.confirmed_at >= b.expires_at AND b.payment_state IS DISTINCT FROM 'CAPTURED'
            THEN 'confirmed_in_time'
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
        -- What follows is about these columns alone; most bookings have none of them.
        WHEN num_nonnulls(
            b.cancel_reason, b.refund_due, b.released, b.payment_reference, b.orphans, b.payment_key,
            b.payment_state
        ) = 0 THEN NULL
        WHEN cardinality(b.orphans) NOT BETWEEN 1 AND 200 THEN 'bookings_orphans_check'
        WHEN char_length(b.payment_reference) NOT BETWEEN 1 AND 128 THEN 'bookings_payment_reference_check'
        WHEN num_nonnulls(b.payment_key, b.payment_state) = 1 THEN 'a_payment_has_a_state'
        WHEN b.payment_state = 'STARTED' AND b.state IN ('CONFIRMED', 'CANCELLED') THEN 'no_ticket_without_money'
        WHEN b.payment_state = 'CAPTURED' AND (
            b.state = 'PENDING' OR b.state = 'FAILED' AND b.refund_due IS DISTINCT FROM b.total
        ) THEN 'no_money_without_a_ticket'
        WHEN b.cancel_reason IS NOT NULL AND b.state <> 'CANCELLED' THEN 'cancelled_for_a_reason'
        WHEN b.released < 1 OR b.released IS NOT NULL AND b.confirmed_at IS NULL THEN 'released_after_a_sale'
        -- Money that came too late is given back without a sale.
        WHEN b.state = 'FAILED' AND b.payment_state = 'CAPTURED' THEN NULL
        WHEN b.refund_due IS NOT NULL AND b.confirmed_at IS NULL
            OR b.state <> 'CANCELLED' AND b.refund_due IS DISTINCT FROM b.released
            THEN 'refunded_after_a_sale'
        WHEN b.refund_due NOT BETWEEN 1 AND b.total + coalesce(b.released, 0) THEN 'refund_within_total'
        WHEN b.cancel_reason = 'SHOW_CANCELLED' AND (
            b.confirmed_at IS NULL OR b.refund_due IS DISTINCT FROM nullif(b.total + coalesce(b.released, 0), 0)
        ) THEN 'refunded_whole'
    END;
BEGIN
    IF broken IS NULL AND num_nonnulls(b.areas, b.places_held_until) > 0 THEN
        broken := booking.rule_of_places_broken_by(b);
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'booking % breaks the rule %', b.booking_id, broken
            USING ERRCODE = 'check_violation', SCHEMA = 'booking', TABLE = 'bookings', CONSTRAINT = broken;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION booking.is_sound(booking.bookings) IS
    'The rules of a booking''s row: it must not contradict itself. Raises check_violation, and '
    'names the broken rule as the constraint.';

-- Apart from is_sound, because few bookings have places: a query in there would cost every booking
-- what only these need. Most of these have places of one area, and are checked without a query,
-- which was most of the cost of a booking's rules.
CREATE FUNCTION booking.rule_of_places_broken_by(b booking.bookings) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF b.areas IS NULL THEN
        RETURN 'held_with_places';
    END IF;
    IF (b.places_held_until IS DISTINCT FROM CASE b.state WHEN 'PENDING' THEN b.expires_at END) THEN
        RETURN 'held_with_places';
    END IF;
    -- IS TRUE: a comparison with a null is neither true nor false.
    IF jsonb_array_length(b.areas) = 1 THEN
        IF (
            char_length(b.areas -> 0 ->> 'area') BETWEEN 1 AND 100
            AND (b.areas -> 0 ->> 'quantity')::integer
                BETWEEN 1 AND 100 - cardinality(b.seat_ordinals)
            AND (b.areas -> 0 ->> 'price')::bigint >= 0
            AND b.areas -> 0 ->> 'tier' IS NOT NULL
        ) IS TRUE THEN
            RETURN NULL;
        END IF;
    -- Of no lines every sum is null.
    ELSIF (
        SELECT count(*) = count(DISTINCT line.area)
            AND bool_and(
                char_length(line.area) BETWEEN 1 AND 100 AND line.quantity >= 1 AND line.price >= 0
                AND line.tier IS NOT NULL
            )
            AND sum(line.quantity) + cardinality(b.seat_ordinals) <= 100
        FROM jsonb_to_recordset(b.areas) AS line (area text, quantity integer, price bigint, tier text)
    ) IS TRUE THEN
        RETURN NULL;
    END IF;
    RETURN 'places_by_area';
END
$$;
COMMENT ON FUNCTION booking.rule_of_places_broken_by(booking.bookings) IS
    'The rule that a booking''s places break, or null. Each area at most once, a quantity of at '
    'least 1, at most 100 seats and places together, and places_held_until as its comment says.';

ALTER TABLE booking.bookings ADD CONSTRAINT is_sound CHECK (booking.is_sound(bookings));

-- The other half of a foreign key from show_seats to bookings; see owners_exist below.
CREATE FUNCTION booking.bookings_stay() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a booking is never deleted, nor is its id changed'
        USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'bookings',
            CONSTRAINT = TG_NAME;
END
$$;
COMMENT ON FUNCTION booking.bookings_stay() IS
    'No one may delete a booking or change its id, not even the schema''s owner.';

CREATE TRIGGER bookings_stay BEFORE DELETE OR UPDATE OF show_id, booking_id ON booking.bookings
    FOR EACH STATEMENT EXECUTE FUNCTION booking.bookings_stay();

CREATE VIEW booking.bookings_now AS
SELECT
    b.show_id,
    b.booking_id,
    CASE WHEN lapsed THEN 'FAILED' ELSE b.state END AS state,
    CASE WHEN lapsed THEN 'EXPIRED' ELSE b.failure_reason END AS failure_reason,
    b.cancel_reason,
    b.version,
    b.customer_id,
    b.email,
    b.linked_customer_id,
    b.seat_ordinals,
    b.seat_prices,
    b.seat_tiers,
    b.areas,
    b.orphans,
    b.total,
    b.currency,
    b.released,
    b.refund_due,
    b.payment_key,
    b.payment_state,
    b.payment_reference,
    b.created_at,
    b.expires_at,
    b.confirmed_at,
    b.cancelled_at,
    CASE WHEN lapsed THEN b.expires_at ELSE b.failed_at END AS failed_at
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
COMMENT ON VIEW booking.bookings_now IS
    'The bookings as they are at this moment: an expired hold is FAILED (EXPIRED), whether or not '
    'expiry-worker has recorded it. For reads; a transaction that decides locks the rows.';


-- Seats

CREATE TABLE booking.show_seats (
    show_id    uuid NOT NULL,
    ordinal    integer NOT NULL CHECK (ordinal >= 0),
    booking_id uuid,
    PRIMARY KEY (show_id, ordinal)
) WITH (
    -- Space on each page for new versions of its rows: booking_id is in no index, so a change of
    -- owner never writes one (HOT).
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

COMMENT ON TABLE booking.show_seats IS
    'One row per seat, and one owner per row: this is why a seat cannot be sold twice. A seat''s '
    'status follows from its owner''s state, so a confirm does not write it.';
COMMENT ON COLUMN booking.show_seats.ordinal IS
    'The number that the seat''s label keeps for the whole life of its show. A seat that the '
    'layout drops keeps its row.';
COMMENT ON COLUMN booking.show_seats.booking_id IS
    'The booking that holds or has the seat; null while it is free.';

-- Statement triggers instead of foreign keys (docs/adr/0006-triggers-instead-of-foreign-keys.md). A
-- foreign key is checked by a query for each row, which locks the booking each time. Bookings are
-- never deleted, so it is enough to see that they exist: one query checks all seats that a
-- statement gives. The error names the trigger as the constraint.
--
-- Functions look rows up by a scalar subquery, which cannot become a join: their plans are made
-- when they first run, perhaps on empty tables, and are kept while the tables grow.
CREATE FUNCTION booking.owners_exist() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    nobody uuid := (
        SELECT given.booking_id
        FROM given
        WHERE given.booking_id IS NOT NULL AND (
            SELECT b.booking_id
            FROM booking.bookings AS b
            WHERE b.show_id = given.show_id AND b.booking_id = given.booking_id
        ) IS NULL
        LIMIT 1
    );
BEGIN
    IF nobody IS NOT NULL THEN
        RAISE EXCEPTION 'a seat is given to booking %, which is not there', nobody
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION booking.owners_exist() IS 'The owner of a seat is a booking of the same show.';

CREATE TRIGGER new_owners_exist AFTER INSERT ON booking.show_seats
    REFERENCING NEW TABLE AS given
    FOR EACH STATEMENT EXECUTE FUNCTION booking.owners_exist();
CREATE TRIGGER owners_exist AFTER UPDATE ON booking.show_seats
    REFERENCING NEW TABLE AS given
    FOR EACH STATEMENT EXECUTE FUNCTION booking.owners_exist();

-- A statement can insert 100,000 seats. A foreign key to sales took more than half of that time.
CREATE FUNCTION booking.sales_exist() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    missing uuid := (
        SELECT made.show_id
        FROM (SELECT DISTINCT show_id FROM made) AS made
        WHERE (SELECT s.show_id FROM booking.sales AS s WHERE s.show_id = made.show_id) IS NULL
        LIMIT 1
    );
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'a seat is made for show %, which has no sale', missing
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION booking.sales_exist() IS 'A seat belongs to a show that has a sale.';

CREATE TRIGGER sales_exist AFTER INSERT ON booking.show_seats
    REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION booking.sales_exist();

CREATE FUNCTION booking.seats_stay() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a seat never changes its show or its number'
        USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
            CONSTRAINT = TG_NAME;
END
$$;
COMMENT ON FUNCTION booking.seats_stay() IS
    'A seat never changes its show or its ordinal: sales_stay relies on it.';

CREATE TRIGGER seats_stay BEFORE UPDATE OF show_id, ordinal ON booking.show_seats
    FOR EACH STATEMENT EXECUTE FUNCTION booking.seats_stay();


-- Areas

CREATE TABLE booking.show_areas (
    show_id    uuid NOT NULL REFERENCES booking.sales,
    -- Ordered by bytes, which is the order of locks.
    area       text COLLATE "C" NOT NULL CHECK (char_length(area) BETWEEN 1 AND 100),
    capacity   integer NOT NULL CHECK (capacity BETWEEN 0 AND 1000000),
    taken      integer NOT NULL DEFAULT 0,
    overhang   integer NOT NULL DEFAULT 0 CHECK (overhang >= 0),
    given_back bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (show_id, area),
    -- No place is sold twice.
    CONSTRAINT taken_within_capacity CHECK (taken BETWEEN 0 AND capacity + overhang)
) WITH (
    -- One row is changed again and again: its page is left for new versions.
    fillfactor = 20,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

COMMENT ON TABLE booking.show_areas IS
    'General admission: a counter for each area of a show, whose places are sold by number. See '
    'docs/areas.md.';
COMMENT ON COLUMN booking.show_areas.area IS
    'The area''s name, which identifies it for the whole life of its show.';
COMMENT ON COLUMN booking.show_areas.capacity IS
    'How many places are for sale, or sold; 0 once the layout no longer has the area.';
COMMENT ON COLUMN booking.show_areas.taken IS
    'How many places PENDING and CONFIRMED bookings have.';
COMMENT ON COLUMN booking.show_areas.overhang IS
    'How far taken exceeded capacity when that was lowered: places of expired holds that were not '
    'FAILED yet. No place is given before they are.';
COMMENT ON COLUMN booking.show_areas.given_back IS
    'Grows by each place that is given back. So a statement that waited for the counter''s lock '
    'can tell whether any was given back meanwhile. See docs/optimistic-path.md.';

CREATE FUNCTION booking.note_given_back() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.given_back := OLD.given_back + OLD.taken - NEW.taken;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION booking.note_given_back() IS
    'Counts places that are given back, whichever statement lowers taken.';

CREATE TRIGGER places_given_back BEFORE UPDATE OF taken ON booking.show_areas
    FOR EACH ROW WHEN (NEW.taken < OLD.taken) EXECUTE FUNCTION booking.note_given_back();
