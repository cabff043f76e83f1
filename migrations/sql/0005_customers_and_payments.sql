-- Schema booking, fourth part: whom bookings are for, and the money that is taken and refunded.


-- Customers

-- A customer belongs to no show, so show_id leads no key here; docs/adr/0002-nested-ids.md says
-- what that means for distributing the schema.
CREATE TABLE booking.customers (
    customer_id        uuid PRIMARY KEY,
    version            integer NOT NULL CHECK (version >= 1),
    email              text NOT NULL CHECK (char_length(email) BETWEEN 3 AND 254),
    display_name       text NOT NULL CHECK (char_length(display_name) <= 200),
    phone              text NOT NULL CHECK (char_length(phone) <= 32),
    external_reference text NOT NULL CHECK (char_length(external_reference) <= 128),
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL CHECK (updated_at >= created_at)
);

COMMENT ON TABLE booking.customers IS
    'People who book, one row per e-mail address. Never deleted: no role may.';
COMMENT ON COLUMN booking.customers.customer_id IS
    'A UUID of version 7: ascending ids are ascending times.';
COMMENT ON COLUMN booking.customers.version IS '1 when it is made; each update adds 1.';
COMMENT ON COLUMN booking.customers.email IS
    'In one form, however it was typed: normalization form C, lower case, the domain in Unicode '
    'and without a dot at its end. The service makes that form: PostgreSQL knows no '
    'internationalised domains.';
COMMENT ON COLUMN booking.customers.display_name IS 'May be empty, as the phone may.';
COMMENT ON COLUMN booking.customers.external_reference IS
    'The id in the caller''s own books; may be empty.';

CREATE UNIQUE INDEX customers_by_email ON booking.customers (email);
COMMENT ON INDEX booking.customers_by_email IS 'An e-mail address has at most one customer.';

CREATE TABLE booking.customer_requests (
    request_id  uuid PRIMARY KEY,
    fingerprint bigint NOT NULL,
    result      jsonb,
    created     boolean,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((result IS NULL) = (created IS NULL))
);

COMMENT ON TABLE booking.customer_requests IS
    'The first result of every mutation of a customer that came with a request id, kept for a day. '
    'A replay gets it.';
COMMENT ON COLUMN booking.customer_requests.fingerprint IS
    'A hash of the command and the body: the same id with another one is rejected.';
COMMENT ON COLUMN booking.customer_requests.result IS
    'The customer''s row as the call returned it. Null only inside the transaction that inserts '
    'this row: it takes the key first, so that a second copy of the call waits.';
COMMENT ON COLUMN booking.customer_requests.created IS 'Whether the call made the customer.';

CREATE INDEX customer_requests_by_age ON booking.customer_requests (created_at);
COMMENT ON INDEX booking.customer_requests_by_age IS 'For the sweep, which deletes the oldest.';


-- Payments

CREATE TABLE booking.payments (
    show_id        uuid NOT NULL,
    payment_key    uuid NOT NULL,
    booking_id     uuid NOT NULL,
    state          booking.payment_state NOT NULL,
    amount         bigint NOT NULL CHECK (amount > 0),
    currency       text NOT NULL CHECK (char_length(currency) = 3),
    started_at     timestamptz NOT NULL,
    deadline_at    timestamptz NOT NULL CHECK (deadline_at > started_at),
    settled_at     timestamptz,
    decline_reason text CHECK (char_length(decline_reason) BETWEEN 1 AND 64),
    looks          integer NOT NULL DEFAULT 0 CHECK (looks >= 0),
    look_at        timestamptz NOT NULL,
    PRIMARY KEY (show_id, payment_key),
    CONSTRAINT settled_once CHECK ((state = 'STARTED') = (settled_at IS NULL)),
    CONSTRAINT declined_for_a_reason CHECK ((state = 'DECLINED') = (decline_reason IS NOT NULL))
) WITH (fillfactor = 80);

COMMENT ON TABLE booking.payments IS
    'Every attempt to pay for a booking, written before the provider is first asked. See '
    'docs/payments.md.';
COMMENT ON COLUMN booking.payments.payment_key IS
    'The idempotency key that the provider knows it by.';
COMMENT ON COLUMN booking.payments.amount IS 'The booking''s total, in minor units.';
COMMENT ON COLUMN booking.payments.deadline_at IS
    'From then on the reconciler settles it: it asks the provider to void it.';
COMMENT ON COLUMN booking.payments.settled_at IS 'When its outcome became certain.';
COMMENT ON COLUMN booking.payments.looks IS 'How often the reconciler has tried to settle it.';
COMMENT ON COLUMN booking.payments.look_at IS 'When the reconciler tries next.';

CREATE UNIQUE INDEX payments_under_way ON booking.payments (show_id, booking_id)
    WHERE state = 'STARTED';
COMMENT ON INDEX booking.payments_under_way IS 'A booking is paid by one attempt at a time.';
CREATE INDEX payments_to_settle ON booking.payments (look_at) WHERE state = 'STARTED';
COMMENT ON INDEX booking.payments_to_settle IS 'For the reconciler: attempts without an outcome.';

CREATE TYPE booking.refund_state AS ENUM ('DUE', 'REFUNDED', 'DECLINED');
COMMENT ON TYPE booking.refund_state IS
    'Where a refund is. DECLINED: the provider refused it, and a person has to handle it.';

CREATE TABLE booking.refunds (
    show_id     uuid NOT NULL,
    payment_key uuid NOT NULL,
    refund_key  uuid NOT NULL,
    booking_id  uuid NOT NULL,
    state       booking.refund_state NOT NULL DEFAULT 'DUE',
    amount      bigint NOT NULL CHECK (amount > 0),
    owed_at     timestamptz NOT NULL,
    settled_at  timestamptz,
    looks       integer NOT NULL DEFAULT 0 CHECK (looks >= 0),
    look_at     timestamptz NOT NULL,
    PRIMARY KEY (show_id, payment_key, refund_key),
    FOREIGN KEY (show_id, payment_key) REFERENCES booking.payments,
    CONSTRAINT settled_once CHECK ((state = 'DUE') = (settled_at IS NULL))
) WITH (fillfactor = 80);

COMMENT ON TABLE booking.refunds IS
    'Money to give back of what was paid through Ticketing, written in the transaction that makes '
    'it due.';
COMMENT ON COLUMN booking.refunds.payment_key IS 'The attempt whose money is given back.';
COMMENT ON COLUMN booking.refunds.refund_key IS
    'The idempotency key that the provider knows it by.';
COMMENT ON COLUMN booking.refunds.amount IS 'In minor units, in the attempt''s currency.';
COMMENT ON COLUMN booking.refunds.settled_at IS 'When the provider had made or declined it.';
COMMENT ON COLUMN booking.refunds.looks IS 'How often the reconciler has tried to make it.';
COMMENT ON COLUMN booking.refunds.look_at IS 'When the reconciler tries next.';

CREATE INDEX refunds_to_pay ON booking.refunds (look_at) WHERE state = 'DUE';
COMMENT ON INDEX booking.refunds_to_pay IS 'For the reconciler: refunds that are not made yet.';
