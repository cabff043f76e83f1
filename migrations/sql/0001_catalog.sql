-- Schema catalog: what is sold. Layouts, the shows that use them, the changes that wait for
-- booking-svc's approval, and the feed that tells booking-svc of it all.
--
-- docs/schema.md has the picture, docs/glossary.md the words. What a table, column, index, type or
-- function is, is a COMMENT, so that psql shows it (\d+, \di+, \dT+, \df+). Why it is so, is a comment
-- of these files.

CREATE SCHEMA catalog;
COMMENT ON SCHEMA catalog IS
    'Shows, layouts, prices and the feed. Owned by catalog-svc; no other service reads it.';


-- Layouts

CREATE TABLE catalog.layouts (
    layout_id    uuid PRIMARY KEY,
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- No foreign key: what it says stays true when the older layout is deleted.
    derived_from uuid,
    description  jsonb NOT NULL,
    seat_count   integer NOT NULL CHECK (seat_count BETWEEN 0 AND 100000),
    place_count  integer NOT NULL CHECK (place_count BETWEEN 0 AND 100000000),
    listed       boolean NOT NULL,
    created_at   timestamptz NOT NULL,
    deleted_at   timestamptz CHECK (deleted_at >= created_at),
    -- A layout has seats, or areas, or both.
    CONSTRAINT room_for_somebody CHECK (seat_count + place_count > 0)
);

COMMENT ON TABLE catalog.layouts IS
    'Seating plans. A layout never changes: a new version is a new layout. The row of a deleted '
    'layout stays, for deleted shows that used it and for replays.';
COMMENT ON COLUMN catalog.layouts.derived_from IS 'The layout that it is a new version of, if any.';
COMMENT ON COLUMN catalog.layouts.description IS
    'Sections, rows, seats, areas and marks, as they were described; see the crate model.';
COMMENT ON COLUMN catalog.layouts.seat_count IS 'How many seats it has.';
COMMENT ON COLUMN catalog.layouts.place_count IS 'How many places its areas have together.';
COMMENT ON COLUMN catalog.layouts.listed IS
    'Whether lists show it. False if it was described inside a request for one show.';

-- In list order, so that a page is one range of the index.
CREATE INDEX layouts_by_name ON catalog.layouts (name, layout_id)
    WHERE listed AND deleted_at IS NULL;
COMMENT ON INDEX catalog.layouts_by_name IS 'Lists of layouts.';
CREATE INDEX layouts_by_origin ON catalog.layouts (derived_from, name, layout_id)
    WHERE listed AND deleted_at IS NULL AND derived_from IS NOT NULL;
COMMENT ON INDEX catalog.layouts_by_origin IS 'Lists of the layouts that are derived from one.';


-- Shows

CREATE TYPE catalog.show_type AS ENUM ('MOVIE', 'CONCERT', 'BUS', 'APPOINTMENT', 'OTHER');
COMMENT ON TYPE catalog.show_type IS
    'What kind of show it is. For people and for filters; no rule depends on it.';

CREATE TYPE catalog.show_state AS ENUM ('DRAFT', 'ON_SALE', 'PAUSED', 'CLOSED', 'CANCELLED');
COMMENT ON TYPE catalog.show_state IS
    'Where a show is in its life. Only an ON_SALE show can be reserved. docs/show-states.md has '
    'the transitions.';

CREATE TYPE catalog.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');
COMMENT ON TYPE catalog.orphan_rule IS
    'What happens to a choice of seats that would leave an orphan: nothing, a warning, or a '
    'rejection.';

CREATE TYPE catalog.proposal_kind AS ENUM ('LAYOUT', 'DELETION');
COMMENT ON TYPE catalog.proposal_kind IS
    'What a proposal would do to its show: give it another layout, or delete it.';

CREATE TYPE catalog.proposal_state AS ENUM ('PENDING', 'ACCEPTED', 'REFUSED', 'DROPPED');
COMMENT ON TYPE catalog.proposal_state IS
    'PENDING until booking-svc has answered. DROPPED: it ended without effect, because the show '
    'was cancelled.';

CREATE TABLE catalog.shows (
    show_id                 uuid PRIMARY KEY,
    revision                bigint NOT NULL CHECK (revision > 0),
    name                    text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    name_folded             text NOT NULL DEFAULT '',
    show_type               catalog.show_type NOT NULL,
    venue                   text NOT NULL CHECK (char_length(venue) <= 200),
    start_at                timestamptz NOT NULL,
    end_at                  timestamptz CHECK (end_at > start_at),
    time_zone               text NOT NULL CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    state                   catalog.show_state NOT NULL,
    offered                 boolean NOT NULL,
    layout_id               uuid NOT NULL REFERENCES catalog.layouts,
    seat_count              integer NOT NULL CHECK (seat_count BETWEEN 0 AND 100000),
    place_count             integer NOT NULL CHECK (place_count BETWEEN 0 AND 100000000),
    prices                  jsonb NOT NULL,
    sales_open_at           timestamptz,
    sales_close_at          timestamptz,
    hold_ms                 integer CHECK (hold_ms BETWEEN 10000 AND 1800000),
    seats_per_booking_max   integer CHECK (seats_per_booking_max BETWEEN 1 AND 100),
    places_per_customer_max integer CHECK (places_per_customer_max BETWEEN 1 AND 10000),
    orphan_rule             catalog.orphan_rule NOT NULL,
    -- One column for both, so that one index has every opening and closing that is due.
    due_at                  timestamptz GENERATED ALWAYS AS (
        CASE
            WHEN deleted_at IS NOT NULL THEN NULL
            WHEN state = 'DRAFT' THEN sales_open_at
            WHEN state IN ('ON_SALE', 'PAUSED') THEN sales_close_at
        END
    ) STORED,
    proposal_revision       bigint,
    proposal_state          catalog.proposal_state,
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL CHECK (updated_at >= created_at),
    cancelled_at            timestamptz,
    deleted_at              timestamptz,
    CHECK ((state = 'CANCELLED') = (cancelled_at IS NOT NULL)),
    CONSTRAINT room_for_somebody CHECK (seat_count + place_count > 0),
    -- The sale opens before it closes. Without a time to close, it ends when the show starts.
    CONSTRAINT close_after_open CHECK (sales_close_at > sales_open_at),
    CONSTRAINT open_before_the_sale_ends CHECK (
        sales_close_at IS NOT NULL OR sales_open_at < start_at
    ),
    -- Tickets can be sold while the show lasts, and not after it.
    CONSTRAINT close_while_it_lasts CHECK (sales_close_at <= coalesce(end_at, start_at)),
    -- Whatever was on sale, or has a time to open, has been offered.
    CONSTRAINT offered_once_on_sale CHECK (
        offered OR (state IN ('DRAFT', 'CANCELLED') AND sales_open_at IS NULL)
    ),
    -- An accepted or dropped proposal is over.
    CONSTRAINT proposal_pending_or_refused CHECK (
        (proposal_revision IS NULL) = (proposal_state IS NULL)
        AND proposal_state IN ('PENDING', 'REFUSED')
    )
);

COMMENT ON TABLE catalog.shows IS 'What is sold: one performance, trip or day of appointments.';
COMMENT ON COLUMN catalog.shows.revision IS 'The revision of its last write.';
COMMENT ON COLUMN catalog.shows.name IS 'In normalization form C, as the venue is.';
-- The service folds it, because PostgreSQL's lower() knows only ASCII letters in a database with
-- the locale "C". It is stored, because ILIKE folds both texts again for each row, which takes
-- several times as long as comparing them.
COMMENT ON COLUMN catalog.shows.name_folded IS
    'The name as the search compares it: in one case and in normalization form KC. Written by the '
    'service with the name. Empty: the search does not find the show.';
COMMENT ON COLUMN catalog.shows.venue IS 'May be empty.';
COMMENT ON COLUMN catalog.shows.end_at IS 'When the show ends, if that is known.';
COMMENT ON COLUMN catalog.shows.time_zone IS
    'The IANA name of the place''s time zone, in which people write the times. It changes none of '
    'them here.';
COMMENT ON COLUMN catalog.shows.offered IS
    'Whether booking-svc may ever have sold the show: it was on sale, or had a time to open. Never '
    'goes back to false. While it is false no booking can exist, and changes need no approval.';
COMMENT ON COLUMN catalog.shows.seat_count IS 'The layout''s.';
COMMENT ON COLUMN catalog.shows.place_count IS 'The layout''s.';
COMMENT ON COLUMN catalog.shows.prices IS
    'The currency, and the price tiers with the sections, rows, seats and areas of each; see the '
    'crate model.';
COMMENT ON COLUMN catalog.shows.sales_open_at IS
    'When a DRAFT goes on sale by itself; null: it does not.';
COMMENT ON COLUMN catalog.shows.sales_close_at IS
    'When the sale ends by itself; null: when the show starts.';
COMMENT ON COLUMN catalog.shows.hold_ms IS
    'How long a reservation that does not say so holds its seats, in milliseconds; null: as '
    'booking-svc is set.';
COMMENT ON COLUMN catalog.shows.seats_per_booking_max IS
    'The most seats and places of one booking; null: as booking-svc is set.';
COMMENT ON COLUMN catalog.shows.places_per_customer_max IS
    'The quota: the most seats and places of one customer''s live bookings; null: no limit.';
COMMENT ON COLUMN catalog.shows.due_at IS 'When the state next changes by itself.';
COMMENT ON COLUMN catalog.shows.proposal_revision IS
    'The proposal that waits for an answer, or the one that was refused last; null: neither.';
COMMENT ON COLUMN catalog.shows.proposal_state IS 'The state of that proposal.';
COMMENT ON COLUMN catalog.shows.deleted_at IS
    'A deleted show stays as a tombstone, so that the feed can tell of it.';

CREATE UNIQUE INDEX shows_by_revision ON catalog.shows (revision);
COMMENT ON INDEX catalog.shows_by_revision IS
    'The feed. Unique: a revision is one write of one show.';
CREATE INDEX shows_by_due ON catalog.shows (due_at) WHERE due_at IS NOT NULL;
COMMENT ON INDEX catalog.shows_by_due IS 'For the schedule worker.';
CREATE INDEX shows_by_layout ON catalog.shows (layout_id) WHERE deleted_at IS NULL;
COMMENT ON INDEX catalog.shows_by_layout IS 'Whether a show uses a layout.';

-- One for each filter, in list order, so that a page is one range of the index.
CREATE INDEX shows_by_start ON catalog.shows (start_at, show_id) WHERE deleted_at IS NULL;
COMMENT ON INDEX catalog.shows_by_start IS 'Lists of shows, all or of a period.';
CREATE INDEX shows_by_type ON catalog.shows (show_type, start_at, show_id) WHERE deleted_at IS NULL;
COMMENT ON INDEX catalog.shows_by_type IS 'Lists of shows of a type.';
CREATE INDEX shows_by_state ON catalog.shows (state, start_at, show_id) WHERE deleted_at IS NULL;
COMMENT ON INDEX catalog.shows_by_state IS 'Lists of shows in a state.';
CREATE INDEX shows_by_venue ON catalog.shows (venue, start_at, show_id) WHERE deleted_at IS NULL;
COMMENT ON INDEX catalog.shows_by_venue IS 'Lists of shows at a venue.';

-- For the index below. It comes with PostgreSQL's contrib modules. It is trusted, so the database's
-- owner may create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

-- It has no predicate, although that adds the few deleted shows: then it is the only index that
-- fits a search by text alone, and the planner takes it even without statistics. fastupdate = off:
-- shows are written seldom and searched often, and every search would have to read through the list
-- of pending entries.
CREATE INDEX shows_by_name ON catalog.shows USING gin (name_folded public.gin_trgm_ops)
    WITH (fastupdate = off);
COMMENT ON INDEX catalog.shows_by_name IS 'Searches for shows whose name has a text in it.';


-- Proposals

CREATE TABLE catalog.proposals (
    show_id      uuid NOT NULL REFERENCES catalog.shows,
    revision     bigint NOT NULL CHECK (revision > 0),
    kind         catalog.proposal_kind NOT NULL,
    state        catalog.proposal_state NOT NULL,
    layout_id    uuid REFERENCES catalog.layouts,
    prices       jsonb,
    -- 100: the most that an error names.
    booked_seats text[] NOT NULL CHECK (cardinality(booked_seats) <= 100),
    request_id   uuid,
    made_at      timestamptz NOT NULL,
    answered_at  timestamptz CHECK (answered_at >= made_at),
    PRIMARY KEY (show_id, revision),
    -- Another layout comes with its prices; a deletion with neither.
    CONSTRAINT layout_and_prices CHECK (
        num_nonnulls(layout_id, prices) = CASE kind WHEN 'LAYOUT' THEN 2 ELSE 0 END
    ),
    CONSTRAINT pending_until_answered CHECK ((state = 'PENDING') = (answered_at IS NULL)),
    CONSTRAINT booked_if_refused CHECK (state = 'REFUSED' OR booked_seats = '{}')
);

COMMENT ON TABLE catalog.proposals IS
    'Changes that must not hurt a booking, and what booking-svc answered: a two-phase change '
    'approval. See docs/catalog-feed.md.';
COMMENT ON COLUMN catalog.proposals.revision IS 'The show''s revision that proposes it.';
COMMENT ON COLUMN catalog.proposals.layout_id IS 'The layout that the show would get.';
COMMENT ON COLUMN catalog.proposals.prices IS 'The show''s prices under that layout.';
COMMENT ON COLUMN catalog.proposals.booked_seats IS
    'Why it was refused: the labels of seats that have live bookings, or the areas; 100 at most.';
COMMENT ON COLUMN catalog.proposals.request_id IS
    'The request id of the call that made it, if it had one. The call waits for the answer.';

CREATE UNIQUE INDEX one_pending_proposal ON catalog.proposals (show_id) WHERE state = 'PENDING';
COMMENT ON INDEX catalog.one_pending_proposal IS 'A show has at most one pending proposal.';
CREATE INDEX proposals_by_layout ON catalog.proposals (layout_id) WHERE state = 'PENDING';
COMMENT ON INDEX catalog.proposals_by_layout IS
    'Whether a pending proposal uses a layout, which must not be deleted then.';

-- Deferred: writing the show yields the revision, and the proposal is inserted after that.
ALTER TABLE catalog.shows
    ADD FOREIGN KEY (show_id, proposal_revision) REFERENCES catalog.proposals
        DEFERRABLE INITIALLY DEFERRED;


-- The feed

-- A transaction that writes a show takes the next revision by updating this one row. The row's lock
-- makes revision order commit order, so a reader that resumes misses nothing.
CREATE TABLE catalog.feed (
    singleton       boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision        bigint NOT NULL DEFAULT 0 CHECK (revision >= 0),
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    timeline_id     uuid NOT NULL DEFAULT gen_random_uuid(),
    server_run      text NOT NULL DEFAULT ''
) WITH (
    -- Every write of a show updates the row: half of its page is left for new versions.
    fillfactor = 50
);

COMMENT ON TABLE catalog.feed IS 'One row: how far the feed has come, and whose it is.';
COMMENT ON COLUMN catalog.feed.revision IS 'The newest revision.';
COMMENT ON COLUMN catalog.feed.installation_id IS
    'Tells this catalog from every other; a copy of its database has the same one.';
COMMENT ON COLUMN catalog.feed.timeline_id IS 'The timeline that the newest revision belongs to.';
COMMENT ON COLUMN catalog.feed.server_run IS
    'The run of the database server that wrote last, as catalog.begin_timeline names it.';

CREATE TABLE catalog.timelines (
    timeline_id  uuid PRIMARY KEY,
    -- The first timeline has -1, so that it comes before one that begins after revision 0.
    begins_after bigint NOT NULL UNIQUE CHECK (begins_after >= -1)
);

COMMENT ON TABLE catalog.timelines IS
    'Histories of revisions. A database that was restored, or promoted without its last '
    'transactions, gives out revisions a second time, for other writes. They are on another '
    'timeline, so a reader can tell.';
COMMENT ON COLUMN catalog.timelines.begins_after IS
    'It has the revisions after this one, up to where the next timeline begins.';

INSERT INTO catalog.feed DEFAULT VALUES;
INSERT INTO catalog.timelines (timeline_id, begins_after)
SELECT timeline_id, -1 FROM catalog.feed;

CREATE FUNCTION catalog.begin_timeline() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    run text := format(
        '%s/%s/%s',
        extract(epoch FROM pg_postmaster_start_time()),
        (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
        TG_RELID
    );
BEGIN
    IF NEW.server_run <> run THEN
        NEW.server_run := run;
        NEW.timeline_id := gen_random_uuid();
        INSERT INTO catalog.timelines (timeline_id, begins_after)
        VALUES (NEW.timeline_id, OLD.revision);
    END IF;
    RETURN NEW;
END
$$;
-- Two runs of a server never start in the same microsecond. A restore into a running server creates
-- the database or the table anew, so their OIDs are part of the run's name.
COMMENT ON FUNCTION catalog.begin_timeline() IS
    'Begins another timeline with the first revision that a run of the server writes. The server '
    'cannot know whether revisions were lost before it started, so every run gets its own.';

CREATE TRIGGER begin_timeline BEFORE UPDATE ON catalog.feed
    FOR EACH ROW WHEN (NEW.revision > OLD.revision) EXECUTE FUNCTION catalog.begin_timeline();


-- Replays

CREATE TABLE catalog.requests (
    request_id  uuid PRIMARY KEY,
    fingerprint bigint NOT NULL,
    result      jsonb,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE catalog.requests IS
    'The first result of every mutation that came with a request id, kept for a day. A replay gets '
    'it.';
COMMENT ON COLUMN catalog.requests.fingerprint IS
    'A hash of the command and the body: the same id with another one is rejected.';
COMMENT ON COLUMN catalog.requests.result IS
    'The show as the call returned it, without its layout. Null only inside the transaction that '
    'inserts the row: it takes the key first, so that a second copy of the call waits.';

CREATE INDEX requests_by_age ON catalog.requests (created_at);
COMMENT ON INDEX catalog.requests_by_age IS 'For the sweep, which deletes the oldest.';
