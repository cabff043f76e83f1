-- Schema catalog: what catalog-svc owns. No other service reads it.

CREATE SCHEMA catalog;

CREATE TYPE catalog.show_type AS ENUM ('MOVIE', 'CONCERT', 'BUS', 'APPOINTMENT', 'OTHER');
CREATE TYPE catalog.show_state AS ENUM ('ON_SALE', 'CANCELLED');

-- The feed's newest revision. Whoever writes a show takes its next revision by updating
-- this one row in the same transaction: the row lock makes revision order commit order.
CREATE TABLE catalog.feed (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision  bigint NOT NULL DEFAULT 0 CHECK (revision >= 0)
) WITH (fillfactor = 50);

INSERT INTO catalog.feed DEFAULT VALUES;

CREATE TABLE catalog.shows (
    show_id      uuid PRIMARY KEY,
    revision     bigint NOT NULL CHECK (revision > 0),
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    show_type    catalog.show_type NOT NULL,
    state        catalog.show_state NOT NULL,
    start_at     timestamptz NOT NULL,
    end_at       timestamptz CHECK (end_at > start_at),
    venue        text NOT NULL CHECK (char_length(venue) <= 200),
    -- Sections, rows and seats as they were described; see the model crate.
    layout       jsonb NOT NULL,
    seat_count   integer NOT NULL CHECK (seat_count BETWEEN 1 AND 100000),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL CHECK (updated_at >= created_at),
    cancelled_at timestamptz,
    -- A deleted show stays as a tombstone, so that the feed can tell of it.
    deleted_at   timestamptz,
    CHECK ((state = 'CANCELLED') = (cancelled_at IS NOT NULL)),
    CHECK (deleted_at IS NULL OR state = 'CANCELLED')
);

CREATE UNIQUE INDEX shows_by_revision ON catalog.shows (revision);
CREATE INDEX shows_by_start ON catalog.shows (start_at, show_id) WHERE deleted_at IS NULL;

-- The first result of every mutation that came with a request id.
CREATE TABLE catalog.requests (
    request_id  uuid PRIMARY KEY,
    -- A hash of the verb and the body: the same id with another one is refused.
    fingerprint bigint NOT NULL,
    -- The show as the call returned it, without its layout. NULL only inside the transaction
    -- that makes the row: it takes the key first, so that a second copy of the call waits.
    result      jsonb,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX requests_by_age ON catalog.requests (created_at);
