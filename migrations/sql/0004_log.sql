-- Schema booking, third part: the log of what happened to bookings, the stored rejections, and the
-- form in which booking-svc hands a batch over.


-- The log

CREATE TYPE booking.verb AS ENUM (
    'RESERVE', 'CONFIRM', 'CANCEL', 'EXPIRE', 'VOID', 'EXTEND', 'SWAP', 'RELEASE', 'SELL', 'PAY',
    'DECLINE', 'REINSTATE', 'REPAY'
);
COMMENT ON TYPE booking.verb IS
    'The commands: what can happen to a booking. booking.is_legal says between which states.';

CREATE FUNCTION booking.is_legal(
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
-- IS TRUE: a CHECK passes if its value is null. A function for the reason that is_sound is one.
COMMENT ON FUNCTION booking.is_legal(
    booking.verb, integer, booking.booking_state, booking.booking_state
) IS
    'Whether a command may move a booking from one state to another, and make this version of it.';

-- No foreign key to bookings: it would be checked at least twice for every booking sold, and
-- bookings are never deleted.
CREATE TABLE booking.transitions (
    show_id     uuid NOT NULL,
    booking_id  uuid NOT NULL,
    version     integer NOT NULL CHECK (version >= 1),
    verb        booking.verb NOT NULL,
    from_state  booking.booking_state,
    to_state    booking.booking_state NOT NULL,
    made_at     timestamptz NOT NULL,
    actor       text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128),
    request_id  uuid NOT NULL,
    fingerprint bigint NOT NULL,
    written_in  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    prior       jsonb,
    PRIMARY KEY (show_id, booking_id, version),
    CONSTRAINT legal CHECK (booking.is_legal(verb, version, from_state, to_state))
);

COMMENT ON TABLE booking.transitions IS
    'The log: every event of every booking, written in the transaction that makes the change. '
    'Append only.';
COMMENT ON COLUMN booking.transitions.version IS 'The booking''s version that it led to.';
COMMENT ON COLUMN booking.transitions.verb IS 'The command that made it.';
COMMENT ON COLUMN booking.transitions.from_state IS 'Null if it made the booking.';
COMMENT ON COLUMN booking.transitions.made_at IS
    'When, by the database''s clock, after the rows were locked.';
COMMENT ON COLUMN booking.transitions.actor IS
    'Who made it: the name of a service, until callers have names.';
COMMENT ON COLUMN booking.transitions.request_id IS
    'The caller''s, or one that the service made. Unique within a show, which makes every mutation '
    'safe to repeat.';
COMMENT ON COLUMN booking.transitions.fingerprint IS
    'A hash of the command and the body: the same id with another one is rejected.';
COMMENT ON COLUMN booking.transitions.written_in IS
    'The writing transaction. Rows below pg_snapshot_xmin() are final, so a reader can follow the '
    'changes of a show without missing one that commits late.';
COMMENT ON COLUMN booking.transitions.prior IS
    'What it replaced in its booking, if more than the state changed: seats, places, total, what '
    'was released, the end of the hold. Replays of earlier requests are answered from it.';

CREATE UNIQUE INDEX transitions_by_request ON booking.transitions (show_id, request_id);
COMMENT ON INDEX booking.transitions_by_request IS 'A request id has one effect within a show.';


-- Stored rejections

CREATE TABLE booking.rejections (
    show_id     uuid NOT NULL,
    request_id  uuid NOT NULL,
    fingerprint bigint NOT NULL,
    rejection     jsonb NOT NULL,
    refused_at  timestamptz NOT NULL,
    PRIMARY KEY (show_id, request_id)
);

COMMENT ON TABLE booking.rejections IS
    'Stored rejections: why calls with a request id were rejected, kept for a day. A replay is '
    'rejected the same way. A request id is here or in the log, whichever came first, never in '
    'both (docs/adr/0005-stored-rejections.md).';
COMMENT ON COLUMN booking.rejections.fingerprint IS 'As transitions.fingerprint.';
COMMENT ON COLUMN booking.rejections.rejection IS 'What the caller was told.';
COMMENT ON COLUMN booking.rejections.refused_at IS
    'When, by the database''s clock, after the rows were locked.';

CREATE INDEX rejections_by_age ON booking.rejections (refused_at);
COMMENT ON INDEX booking.rejections_by_age IS 'For the sweep, which deletes the oldest.';

CREATE FUNCTION booking.refused_before() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a request id has been refused before'
        USING ERRCODE = 'unique_violation', SCHEMA = 'booking', TABLE = 'rejections', CONSTRAINT = 'rejections_pkey';
END
$$;
COMMENT ON FUNCTION booking.refused_before() IS
    'Aborts a transaction that would grant what was rejected before, as transitions_by_request '
    'aborts one that would grant again what was granted.';

-- VOLATILE, so that it sees what was committed while the statement that calls it waited for locks.
-- That statement itself does not.
CREATE FUNCTION booking.expect_no_rejection(show_ids uuid[], request_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Often nothing was rejected for a day.
    IF EXISTS (SELECT FROM booking.rejections) AND EXISTS (
        SELECT
        FROM unnest(show_ids, request_ids) AS new (show_id, request_id)
        WHERE (
            SELECT r.request_id
            FROM booking.rejections AS r
            WHERE r.show_id = new.show_id AND r.request_id = new.request_id
        ) IS NOT NULL
    ) THEN
        PERFORM booking.refused_before();
    END IF;
END
$$;
COMMENT ON FUNCTION booking.expect_no_rejection(uuid[], uuid[]) IS
    'Aborts if one of the requests was rejected before. For a write that did not lock first.';


-- What a batch writes

CREATE FUNCTION booking.expect_rows(what text, touched bigint, expected bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF touched IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '%: % rows touched, % expected', what, touched, expected
            USING ERRCODE = 'TK001';
    END IF;
END
$$;
COMMENT ON FUNCTION booking.expect_rows(text, bigint, bigint) IS
    'Aborts the transaction if a statement touched another number of rows than expected. Of rows '
    'that were locked, that is a fault of ours, and a COMMIT would hide it. Of rows that were only '
    'remembered, they have changed, and the batch is decided again.';

-- The rows that booking-svc hands over with a batch, as arrays; what writes a batch uses them. Two releases
-- meet while one is rolled out, so none of these ever changes: a different shape gets another name.
-- States and the like are texts here, as a driver has them.

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
COMMENT ON TYPE booking.new_booking IS 'A booking that the batch makes.';

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
COMMENT ON TYPE booking.changed_booking IS
    'A booking that the batch changes, with the version and the end of hold that it must have.';

CREATE TYPE booking.given_seat AS (
    show_id uuid,
    ordinal integer,
    prior_booking_id uuid,
    booking_id uuid
);
COMMENT ON TYPE booking.given_seat IS
    'A seat that changes its owner, with the owner that it must have had.';

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
COMMENT ON TYPE booking.new_transition IS 'An event for the log.';

CREATE TYPE booking.expected_sale AS (
    show_id uuid,
    revision bigint,
    until timestamptz
);
COMMENT ON TYPE booking.expected_sale IS
    'A sale that was not locked before: the revision that it must have (null: any), and until when '
    'it is as expected.';

CREATE TYPE booking.counted_area AS (
    show_id uuid,
    area text,
    quantity integer
);
COMMENT ON TYPE booking.counted_area IS
    'An area that was not locked before, and how many more of its places are taken.';
