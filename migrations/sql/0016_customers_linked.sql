-- Refusals that stick, and the customer that a booking belongs to.

-- What calls with a request id were refused for, for a day: a copy is refused the same way. An id
-- is here or in the log, whichever came first; see ARCHITECTURE.md on why never in both.
CREATE TABLE booking.refusals (
    show_id     uuid NOT NULL,
    request_id  uuid NOT NULL,
    -- A hash of the verb and the body: the same id with another one is refused.
    fingerprint bigint NOT NULL,
    -- What the caller was told.
    refusal     jsonb NOT NULL,
    -- By the database's clock, after the rows were locked.
    refused_at  timestamptz NOT NULL,
    PRIMARY KEY (show_id, request_id)
);

CREATE INDEX refusals_by_age ON booking.refusals (refused_at);

GRANT SELECT, INSERT, DELETE ON booking.refusals TO booking_svc;

-- Aborts a transaction that is about to grant what was refused before, as a request id that is in
-- the log already does.
CREATE FUNCTION booking.refused_before() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a request id has been refused before'
        USING ERRCODE = 'unique_violation', SCHEMA = 'booking', TABLE = 'refusals', CONSTRAINT = 'refusals_pkey';
END
$$;

-- The customer of booking.customers that the booking belongs to; null if the caller has an id of
-- its own for whom it is for. Never changes. No foreign key: it would be checked for every
-- booking, and customers are never deleted (nobody is granted it).
ALTER TABLE booking.bookings ADD COLUMN linked_customer_id uuid;

-- Until now an address was enough to book: whoever did is a customer from here on.
INSERT INTO booking.customers (
    customer_id, version, email, display_name, phone, external_reference, created_at, updated_at
)
SELECT
    -- Version 7: a random UUID whose first 48 bits are the time, in milliseconds.
    encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substr(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) FROM 1
    ), 52, 1), 53, 1), 'hex')::uuid,
    1, email, '', '', '', now(), now()
FROM (SELECT DISTINCT email FROM booking.bookings WHERE email IS NOT NULL) AS addresses
ON CONFLICT (email) DO NOTHING;

UPDATE booking.bookings AS b
SET linked_customer_id = c.customer_id
FROM booking.customers AS c
WHERE c.email = b.email;

CREATE INDEX bookings_by_linked_customer ON booking.bookings (linked_customer_id, show_id, booking_id)
    WHERE linked_customer_id IS NOT NULL;

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
    b.linked_customer_id
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
