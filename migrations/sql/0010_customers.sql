-- The customers whom bookings can be for. A customer belongs to no show, so show_id leads no key
-- here; see ARCHITECTURE.md on what this means for distributing the schema.

CREATE TABLE booking.customers (
    customer_id        uuid PRIMARY KEY,
    -- 1 when it is made; each update adds 1.
    version            integer NOT NULL CHECK (version >= 1),
    -- In lower case, as the service writes it.
    email              text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
    display_name       text NOT NULL CHECK (char_length(display_name) <= 200),
    phone              text NOT NULL CHECK (char_length(phone) <= 32),
    -- The id in the caller's own books.
    external_reference text NOT NULL CHECK (char_length(external_reference) <= 128),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL CHECK (updated_at >= created_at)
);

CREATE UNIQUE INDEX customers_by_email ON booking.customers (email);

-- The first result of every mutation of a customer that came with a request id.
CREATE TABLE booking.customer_requests (
    request_id  uuid PRIMARY KEY,
    -- A hash of the verb and the body: the same id with another one is refused.
    fingerprint bigint NOT NULL,
    -- The customer's row as the call returned it, and whether the call made it. NULL only inside
    -- the transaction that makes this row: it takes the key first, so that a second copy of the
    -- call waits.
    result      jsonb,
    created     boolean,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((result IS NULL) = (created IS NULL))
);

CREATE INDEX customer_requests_by_age ON booking.customer_requests (created_at);

GRANT SELECT, INSERT ON booking.customers TO booking_svc;
GRANT UPDATE (version, email, display_name, phone, external_reference, updated_at)
    ON booking.customers TO booking_svc;
GRANT SELECT, INSERT, UPDATE (result, created), DELETE ON booking.customer_requests TO booking_svc;
