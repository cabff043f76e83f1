-- The rows that booking-svc hands over with a batch; write.sql says what they are for. A release that
-- is rolled out meets the one before it: none of these ever changes, what is needed otherwise gets
-- another name. Names of states and the like are texts here, as a driver has them.
CREATE TYPE booking.new_booking AS (
    show_id uuid,
    booking_id uuid,
    state text,
    customer_id text,
    email text,
    linked_customer_id uuid,
    seat_ordinals integer[],
    seat_prices bigint[],
    seat_tiers text[],
    areas text,
    total bigint,
    currency text,
    expires_at timestamptz,
    confirmed_at timestamptz
);

CREATE TYPE booking.changed_booking AS (
    show_id uuid,
    booking_id uuid,
    prior_version integer,
    version integer,
    state text,
    failure_reason text,
    cancel_reason text,
    expires_at timestamptz,
    confirmed_at timestamptz,
    cancelled_at timestamptz,
    failed_at timestamptz,
    refund_due bigint
);

CREATE TYPE booking.given_seat AS (
    show_id uuid,
    ordinal integer,
    prior_booking_id uuid,
    booking_id uuid
);

CREATE TYPE booking.new_transition AS (
    show_id uuid,
    booking_id uuid,
    version integer,
    verb text,
    from_state text,
    to_state text,
    request_id uuid,
    fingerprint bigint,
    prior text
);

CREATE TYPE booking.expected_sale AS (
    show_id uuid,
    revision bigint,
    until timestamptz
);

CREATE TYPE booking.counted_area AS (
    show_id uuid,
    area text,
    quantity integer
);
