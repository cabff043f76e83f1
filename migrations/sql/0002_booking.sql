-- Schema booking: sales, seats, bookings and the log of their transitions. booking-svc
-- owns it; expiry-worker fails stale bookings in it. show_id leads every key, so that the
-- schema can be distributed by it.

CREATE SCHEMA booking;

CREATE TYPE booking.sale_state AS ENUM ('ON_SALE', 'CANCELLED');
CREATE TYPE booking.booking_state AS ENUM ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED');
CREATE TYPE booking.failure_reason AS ENUM ('EXPIRED', 'PAYMENT_DECLINED', 'SHOW_CANCELLED');
CREATE TYPE booking.verb AS ENUM ('RESERVE', 'CONFIRM', 'CANCEL', 'EXPIRE');

-- How far the catalog's feed has been applied.
CREATE TABLE booking.feed_cursor (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision  bigint NOT NULL DEFAULT 0 CHECK (revision >= 0)
);

INSERT INTO booking.feed_cursor DEFAULT VALUES;

-- booking-svc's own record that a show can be booked, copied from the catalog.
CREATE TABLE booking.sales (
    show_id    uuid PRIMARY KEY,
    -- The catalog's revision that this is a copy of; never goes back.
    revision   bigint NOT NULL CHECK (revision > 0),
    state      booking.sale_state NOT NULL,
    start_at   timestamptz NOT NULL,
    -- Sections, rows and seats; a seat's ordinal is its place in it.
    layout     jsonb NOT NULL,
    seat_count integer NOT NULL CHECK (seat_count BETWEEN 1 AND 100000)
) WITH (fillfactor = 90);

CREATE TABLE booking.bookings (
    show_id        uuid NOT NULL REFERENCES booking.sales,
    booking_id     uuid NOT NULL,
    state          booking.booking_state NOT NULL,
    failure_reason booking.failure_reason,
    -- 1 when it is made; each transition adds 1.
    version        integer NOT NULL CHECK (version >= 1),
    customer_id    text CHECK (char_length(customer_id) BETWEEN 1 AND 128),
    email          text CHECK (char_length(email) BETWEEN 3 AND 254),
    -- Its seats, ascending, and beside each its price, frozen.
    seat_ordinals  integer[] NOT NULL,
    seat_prices    bigint[] NOT NULL,
    total          bigint NOT NULL CHECK (total >= 0),
    currency       text NOT NULL CHECK (char_length(currency) = 3),
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    confirmed_at   timestamptz,
    cancelled_at   timestamptz,
    failed_at      timestamptz,
    PRIMARY KEY (show_id, booking_id),
    -- A booking's id begins with the 48-bit key of its show.
    CONSTRAINT booking_id_nests CHECK (
        substr(uuid_send(booking_id), 1, 6) = substr(uuid_send(show_id), 1, 6)
    ),
    CONSTRAINT one_customer CHECK (num_nonnulls(customer_id, email) = 1),
    CONSTRAINT a_price_for_each_seat CHECK (
        cardinality(seat_ordinals) BETWEEN 1 AND 100
        AND cardinality(seat_prices) = cardinality(seat_ordinals)
    ),
    CONSTRAINT hold_length CHECK (
        expires_at BETWEEN created_at + interval '10 seconds' AND created_at + interval '30 minutes'
    ),
    CONSTRAINT confirmed_in_time CHECK (
        confirmed_at >= created_at AND confirmed_at < expires_at
    ),
    -- IS TRUE, here and below: a constraint is content with a null.
    CONSTRAINT state_agrees CHECK (
        CASE state
            WHEN 'PENDING' THEN num_nonnulls(confirmed_at, cancelled_at, failed_at) = 0
            WHEN 'CONFIRMED' THEN confirmed_at IS NOT NULL AND num_nonnulls(cancelled_at, failed_at) = 0
            WHEN 'CANCELLED' THEN cancelled_at >= coalesce(confirmed_at, created_at) AND failed_at IS NULL
            WHEN 'FAILED' THEN failed_at >= created_at AND num_nonnulls(confirmed_at, cancelled_at) = 0
        END IS TRUE
    ),
    CONSTRAINT failed_for_a_reason CHECK ((state = 'FAILED') = (failure_reason IS NOT NULL)),
    CONSTRAINT expired_when_it_ended CHECK (failure_reason <> 'EXPIRED' OR failed_at = expires_at)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

-- What the expiry worker polls: only the holds that are still open are in it.
CREATE INDEX bookings_pending ON booking.bookings (expires_at) WHERE state = 'PENDING';
CREATE INDEX bookings_by_customer ON booking.bookings (customer_id, show_id, booking_id)
    WHERE customer_id IS NOT NULL;
CREATE INDEX bookings_by_email ON booking.bookings (email, show_id, booking_id)
    WHERE email IS NOT NULL;

-- One row a seat, and one owner a row: this is why a seat cannot be sold twice. A seat's
-- status follows from its owner's state, so a confirm does not write it.
CREATE TABLE booking.show_seats (
    show_id    uuid NOT NULL REFERENCES booking.sales,
    ordinal    integer NOT NULL CHECK (ordinal >= 0),
    -- The booking that holds or has the seat; null while it is free.
    booking_id uuid,
    PRIMARY KEY (show_id, ordinal),
    FOREIGN KEY (show_id, booking_id) REFERENCES booking.bookings
) WITH (
    -- Room on each page for the next version of its rows: booking_id is in no index, so a
    -- change of owner never touches one.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

-- Every transition of every booking, written in the transaction that made it. Append only.
CREATE TABLE booking.transitions (
    show_id     uuid NOT NULL,
    booking_id  uuid NOT NULL,
    -- The booking's version that it led to.
    version     integer NOT NULL CHECK (version >= 1),
    verb        booking.verb NOT NULL,
    from_state  booking.booking_state,
    to_state    booking.booking_state NOT NULL,
    -- By the database's clock, after the rows were locked.
    made_at     timestamptz NOT NULL,
    -- Who made it: a service's name until callers have names.
    actor       text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128),
    -- The caller's, or one that the service made: unique within a show, which is what
    -- makes every mutation safe to repeat.
    request_id  uuid NOT NULL,
    -- A hash of the verb and the body: the same id with another one is refused.
    fingerprint bigint NOT NULL,
    -- The writing transaction. All rows below pg_snapshot_xmin() are settled, so a reader
    -- can follow a show's changes without missing one that commits late.
    written_in  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- No foreign key to bookings: it would be checked twice for every booking sold, and
    -- bookings are never deleted (nobody is granted it).
    PRIMARY KEY (show_id, booking_id, version),
    CONSTRAINT legal CHECK (
        CASE verb
            WHEN 'RESERVE' THEN version = 1 AND from_state IS NULL AND to_state = 'PENDING'
            WHEN 'CONFIRM' THEN from_state = 'PENDING' AND to_state = 'CONFIRMED'
            WHEN 'CANCEL' THEN from_state IN ('PENDING', 'CONFIRMED') AND to_state = 'CANCELLED'
            WHEN 'EXPIRE' THEN from_state = 'PENDING' AND to_state = 'FAILED'
        END IS TRUE
    )
);

CREATE UNIQUE INDEX transitions_by_request ON booking.transitions (show_id, request_id);

-- Aborts the transaction when a statement did not touch as many rows as it must have: the
-- rows were locked and decided on, so a difference is a fault of ours, and committing over
-- it would hide it.
CREATE FUNCTION booking.expect_rows(what text, touched bigint, expected bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF touched IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '%: % rows touched, % expected', what, touched, expected
            USING ERRCODE = 'TK001';
    END IF;
END
$$;

-- The bookings as they stand at this moment: a hold ends exactly at expires_at, whether or
-- not the worker has come by. For reads; whoever decides locks the rows themselves.
CREATE VIEW booking.bookings_now AS
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
    CASE WHEN lapsed THEN b.expires_at ELSE b.failed_at END AS failed_at
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
