-- Paying: attempts to take money for bookings, and the money that has to be given back.

ALTER TYPE booking.verb ADD VALUE 'PAY';
ALTER TYPE booking.verb ADD VALUE 'DECLINE';
ALTER TYPE booking.verb ADD VALUE 'REINSTATE';
ALTER TYPE booking.verb ADD VALUE 'REPAY';

CREATE TYPE booking.payment_state AS ENUM ('STARTED', 'CAPTURED', 'DECLINED');
CREATE TYPE booking.refund_state AS ENUM ('DUE', 'REFUNDED', 'DECLINED');

ALTER TABLE booking.bookings
    -- The newest attempt to pay, and where it is: as its row in payments says, and here because
    -- this row is locked by whoever decides.
    ADD COLUMN payment_key uuid,
    ADD COLUMN payment_state booking.payment_state;

-- Every attempt to pay, written before the provider is first asked.
CREATE TABLE booking.payments (
    show_id        uuid NOT NULL,
    -- The idempotency key that the provider knows it by.
    payment_key    uuid NOT NULL,
    booking_id     uuid NOT NULL,
    state          booking.payment_state NOT NULL,
    amount         bigint NOT NULL CHECK (amount > 0),
    currency       text NOT NULL CHECK (char_length(currency) = 3),
    started_at     timestamptz NOT NULL,
    -- From then on it is settled by asking the provider to void it.
    deadline_at    timestamptz NOT NULL CHECK (deadline_at > started_at),
    settled_at     timestamptz,
    decline_reason text CHECK (char_length(decline_reason) BETWEEN 1 AND 64),
    -- How often it was taken up to be settled, and when it will be next.
    looks          integer NOT NULL DEFAULT 0 CHECK (looks >= 0),
    look_at        timestamptz NOT NULL,
    PRIMARY KEY (show_id, payment_key),
    CONSTRAINT settled_once CHECK ((state = 'STARTED') = (settled_at IS NULL)),
    CONSTRAINT declined_for_a_reason CHECK ((state = 'DECLINED') = (decline_reason IS NOT NULL))
) WITH (fillfactor = 80);

-- A booking is paid by one attempt at a time.
CREATE UNIQUE INDEX payments_under_way ON booking.payments (show_id, booking_id) WHERE state = 'STARTED';
CREATE INDEX payments_to_settle ON booking.payments (look_at) WHERE state = 'STARTED';

-- Money to give back, written in the transaction that owes it.
CREATE TABLE booking.refunds (
    show_id     uuid NOT NULL,
    payment_key uuid NOT NULL,
    -- The idempotency key that the provider knows it by.
    refund_key  uuid NOT NULL,
    booking_id  uuid NOT NULL,
    state       booking.refund_state NOT NULL DEFAULT 'DUE',
    amount      bigint NOT NULL CHECK (amount > 0),
    owed_at     timestamptz NOT NULL,
    settled_at  timestamptz,
    -- How often it was taken up to be paid out, and when it will be next.
    looks       integer NOT NULL DEFAULT 0 CHECK (looks >= 0),
    look_at     timestamptz NOT NULL,
    PRIMARY KEY (show_id, payment_key, refund_key),
    FOREIGN KEY (show_id, payment_key) REFERENCES booking.payments,
    CONSTRAINT settled_once CHECK ((state = 'DUE') = (settled_at IS NULL))
) WITH (fillfactor = 80);

CREATE INDEX refunds_to_pay ON booking.refunds (look_at) WHERE state = 'DUE';

GRANT SELECT, INSERT ON booking.payments, booking.refunds TO booking_svc;
GRANT UPDATE (state, settled_at, decline_reason, looks, look_at) ON booking.payments TO booking_svc;
GRANT UPDATE (state, settled_at, looks, look_at) ON booking.refunds TO booking_svc;

CREATE OR REPLACE FUNCTION booking.is_legal(
    verb booking.verb, version integer, from_state booking.booking_state, to_state booking.booking_state
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE verb
        WHEN 'RESERVE' THEN version = 1 AND from_state IS NULL AND to_state = 'PENDING'
        WHEN 'CONFIRM' THEN from_state = 'PENDING' AND to_state = 'CONFIRMED'
        WHEN 'CANCEL' THEN from_state IN ('PENDING', 'CONFIRMED') AND to_state = 'CANCELLED'
        WHEN 'EXPIRE' THEN from_state = 'PENDING' AND to_state = 'FAILED'
        WHEN 'VOID' THEN
            from_state = 'PENDING' AND to_state = 'FAILED' OR from_state = 'CONFIRMED' AND to_state = 'CANCELLED'
        WHEN 'SELL' THEN version = 1 AND from_state IS NULL AND to_state = 'CONFIRMED'
        WHEN 'EXTEND' THEN from_state = 'PENDING' AND to_state = 'PENDING'
        WHEN 'SWAP' THEN from_state IN ('PENDING', 'CONFIRMED') AND to_state = from_state
        WHEN 'RELEASE' THEN from_state IN ('PENDING', 'CONFIRMED') AND to_state = from_state
        WHEN 'PAY' THEN from_state = 'PENDING' AND to_state = 'PENDING'
        WHEN 'DECLINE' THEN from_state IN ('PENDING', 'FAILED') AND to_state = from_state
        WHEN 'REINSTATE' THEN from_state = 'FAILED' AND to_state = 'CONFIRMED'
        WHEN 'REPAY' THEN from_state IN ('PENDING', 'FAILED') AND to_state = 'FAILED'
    END IS TRUE;
END
$$;

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
        WHEN cardinality(b.seat_ordinals) NOT BETWEEN CASE WHEN b.areas IS NULL THEN 1 ELSE 0 END AND 100
            OR cardinality(b.seat_prices) <> cardinality(b.seat_ordinals)
            THEN 'a_price_for_each_seat'
        WHEN cardinality(b.seat_tiers) <> cardinality(b.seat_ordinals) THEN 'a_tier_for_each_seat'
        WHEN b.total < 0 THEN 'bookings_total_check'
        WHEN char_length(b.currency) <> 3 THEN 'bookings_currency_check'
        -- The longest life of a hold, however often it is extended. An attempt to pay begins
        -- within that, takes up to 10 min, and leaves what was left before it, up to 30 min; so does
        -- one that is found out about later, while what it left goes on.
        WHEN b.expires_at NOT BETWEEN b.created_at + interval '10 s' AND b.created_at + CASE
            WHEN b.payment_key IS NULL THEN interval '120 min' ELSE interval '190 min'
        END THEN 'hold_length'
        -- Money that comes late brings a booking back whose hold has ended.
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
        -- What follows is about these alone; most bookings have none of them.
        WHEN num_nonnulls(
            b.cancel_reason, b.refund_due, b.released, b.payment_reference, b.stranded, b.payment_key,
            b.payment_state
        ) = 0 THEN NULL
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
        WHEN cardinality(b.stranded) NOT BETWEEN 1 AND 200 THEN 'bookings_stranded_check'
        WHEN char_length(b.payment_reference) NOT BETWEEN 1 AND 128 THEN 'bookings_payment_reference_check'
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
    b.seat_tiers,
    b.released,
    b.payment_reference,
    b.areas,
    b.linked_customer_id,
    b.stranded,
    b.payment_key,
    b.payment_state
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
