-- What the migrations make. Generated, for reading; never run.
-- TICKETING_WRITE_SCHEMA=1 cargo test -p migrations --test snapshot

-- Shows, layouts, prices and the feed. Owned by catalog-svc; no other service reads it.
CREATE SCHEMA catalog;
GRANT USAGE ON SCHEMA catalog TO catalog_svc;

-- What happens to a choice of seats that would leave an orphan: nothing, a warning, or a rejection.
CREATE TYPE catalog.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');

-- What a proposal would do to its show: give it another layout, or delete it.
CREATE TYPE catalog.proposal_kind AS ENUM ('LAYOUT', 'DELETION');

-- PENDING until booking-svc has answered. DROPPED: it ended without effect, because the show was
-- cancelled.
CREATE TYPE catalog.proposal_state AS ENUM ('PENDING', 'ACCEPTED', 'REFUSED', 'DROPPED');

-- Where a show is in its life. Only an ON_SALE show can be reserved. docs/show-states.md has the
-- transitions.
CREATE TYPE catalog.show_state AS ENUM ('DRAFT', 'ON_SALE', 'PAUSED', 'CLOSED', 'CANCELLED');

-- What kind of show it is. For people and for filters; no rule depends on it.
CREATE TYPE catalog.show_type AS ENUM ('MOVIE', 'CONCERT', 'BUS', 'APPOINTMENT', 'OTHER');

-- One row: how far the feed has come, and whose it is.
CREATE TABLE catalog.feed (
    singleton boolean DEFAULT true NOT NULL,
    -- The newest revision.
    revision bigint DEFAULT 0 NOT NULL,
    -- Tells this catalog from every other; a copy of its database has the same one.
    installation_id uuid DEFAULT gen_random_uuid() NOT NULL,
    -- The timeline that the newest revision belongs to.
    timeline_id uuid DEFAULT gen_random_uuid() NOT NULL,
    -- The run of the database server that wrote last, as catalog.begin_timeline names it.
    server_run text DEFAULT ''::text NOT NULL,
    CONSTRAINT feed_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_revision_check CHECK (revision >= 0),
    CONSTRAINT feed_singleton_check CHECK (singleton)
) WITH (fillfactor=50);
CREATE TRIGGER begin_timeline BEFORE UPDATE ON catalog.feed FOR EACH ROW WHEN (new.revision > old.revision) EXECUTE FUNCTION catalog.begin_timeline();
GRANT SELECT, UPDATE ON catalog.feed TO catalog_svc;

-- Seating plans. A layout never changes: a new version is a new layout. The row of a deleted layout
-- stays, for deleted shows that used it and for replays.
CREATE TABLE catalog.layouts (
    layout_id uuid NOT NULL,
    name text NOT NULL,
    -- The layout that it is a new version of, if any.
    derived_from uuid,
    -- Sections, rows, seats, areas and marks, as they were described; see the crate model.
    description jsonb NOT NULL,
    -- How many seats it has.
    seat_count integer NOT NULL,
    -- How many places its areas have together.
    place_count integer NOT NULL,
    -- Whether lists show it. False if it was described inside a request for one show.
    listed boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    CONSTRAINT layouts_pkey PRIMARY KEY (layout_id),
    CONSTRAINT layouts_check CHECK (deleted_at >= created_at),
    CONSTRAINT layouts_name_check CHECK (char_length(name) >= 1 AND char_length(name) <= 200),
    CONSTRAINT layouts_place_count_check CHECK (place_count >= 0 AND place_count <= 100000000),
    CONSTRAINT layouts_seat_count_check CHECK (seat_count >= 0 AND seat_count <= 100000),
    CONSTRAINT room_for_somebody CHECK ((seat_count + place_count) > 0)
);
-- Lists of layouts.
CREATE INDEX layouts_by_name ON catalog.layouts USING btree (name, layout_id) WHERE listed AND deleted_at IS NULL;
-- Lists of the layouts that are derived from one.
CREATE INDEX layouts_by_origin ON catalog.layouts USING btree (derived_from, name, layout_id) WHERE listed AND deleted_at IS NULL AND derived_from IS NOT NULL;
GRANT INSERT, SELECT, UPDATE (deleted_at) ON catalog.layouts TO catalog_svc;

-- Changes that must not hurt a booking, and what booking-svc answered: a two-phase change approval.
-- See docs/catalog-feed.md.
CREATE TABLE catalog.proposals (
    show_id uuid NOT NULL,
    -- The show's revision that proposes it.
    revision bigint NOT NULL,
    kind catalog.proposal_kind NOT NULL,
    state catalog.proposal_state NOT NULL,
    -- The layout that the show would get.
    layout_id uuid,
    -- The show's prices under that layout.
    prices jsonb,
    -- Why it was refused: the labels of seats that have live bookings, or the areas; 100 at most.
    booked_seats text[] NOT NULL,
    -- The request id of the call that made it, if it had one. The call waits for the answer.
    request_id uuid,
    made_at timestamp with time zone NOT NULL,
    answered_at timestamp with time zone,
    CONSTRAINT proposals_pkey PRIMARY KEY (show_id, revision),
    CONSTRAINT proposals_layout_id_fkey FOREIGN KEY (layout_id) REFERENCES catalog.layouts(layout_id),
    CONSTRAINT proposals_show_id_fkey FOREIGN KEY (show_id) REFERENCES catalog.shows(show_id),
    CONSTRAINT booked_if_refused CHECK (state = 'REFUSED'::catalog.proposal_state OR booked_seats = '{}'::text[]),
    CONSTRAINT layout_and_prices CHECK (num_nonnulls(layout_id, prices) =
    CASE kind
        WHEN 'LAYOUT'::catalog.proposal_kind THEN 2
        ELSE 0
    END),
    CONSTRAINT pending_until_answered CHECK ((state = 'PENDING'::catalog.proposal_state) = (answered_at IS NULL)),
    CONSTRAINT proposals_booked_seats_check CHECK (cardinality(booked_seats) <= 100),
    CONSTRAINT proposals_check CHECK (answered_at >= made_at),
    CONSTRAINT proposals_revision_check CHECK (revision > 0)
);
-- A show has at most one pending proposal.
CREATE UNIQUE INDEX one_pending_proposal ON catalog.proposals USING btree (show_id) WHERE state = 'PENDING'::catalog.proposal_state;
-- Whether a pending proposal uses a layout, which must not be deleted then.
CREATE INDEX proposals_by_layout ON catalog.proposals USING btree (layout_id) WHERE state = 'PENDING'::catalog.proposal_state;
GRANT INSERT, SELECT, UPDATE (state, booked_seats, answered_at) ON catalog.proposals TO catalog_svc;

-- The first result of every mutation that came with a request id, kept for a day. A replay gets it.
CREATE TABLE catalog.requests (
    request_id uuid NOT NULL,
    -- A hash of the command and the body: the same id with another one is rejected.
    fingerprint bigint NOT NULL,
    -- The show as the call returned it, without its layout. Null only inside the transaction that
    -- inserts the row: it takes the key first, so that a second copy of the call waits.
    result jsonb,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT requests_pkey PRIMARY KEY (request_id)
);
-- For the sweep, which deletes the oldest.
CREATE INDEX requests_by_age ON catalog.requests USING btree (created_at);
GRANT DELETE, INSERT, SELECT, UPDATE (result) ON catalog.requests TO catalog_svc;

-- What is sold: one performance, trip or day of appointments.
CREATE TABLE catalog.shows (
    show_id uuid NOT NULL,
    -- The revision of its last write.
    revision bigint NOT NULL,
    -- In normalization form C, as the venue is.
    name text NOT NULL,
    -- The name as the search compares it: in one case and in normalization form KC. Written by the
    -- service with the name. Empty: the search does not find the show.
    name_folded text DEFAULT ''::text NOT NULL,
    show_type catalog.show_type NOT NULL,
    -- May be empty.
    venue text NOT NULL,
    start_at timestamp with time zone NOT NULL,
    -- When the show ends, if that is known.
    end_at timestamp with time zone,
    -- The IANA name of the place's time zone, in which people write the times. It changes none of
    -- them here.
    time_zone text NOT NULL,
    state catalog.show_state NOT NULL,
    -- Whether booking-svc may ever have sold the show: it was on sale, or had a time to open. Never
    -- goes back to false. While it is false no booking can exist, and changes need no approval.
    offered boolean NOT NULL,
    layout_id uuid NOT NULL,
    -- The layout's.
    seat_count integer NOT NULL,
    -- The layout's.
    place_count integer NOT NULL,
    -- The currency, and the price tiers with the sections, rows, seats and areas of each; see the
    -- crate model.
    prices jsonb NOT NULL,
    -- When a DRAFT goes on sale by itself; null: it does not.
    sales_open_at timestamp with time zone,
    -- When the sale ends by itself; null: when the show starts.
    sales_close_at timestamp with time zone,
    -- How long a reservation that does not say so holds its seats, in milliseconds; null: as
    -- booking-svc is set.
    hold_ms integer,
    -- The most seats and places of one booking; null: as booking-svc is set.
    seats_per_booking_max integer,
    -- The quota: the most seats and places of one customer's live bookings; null: no limit.
    places_per_customer_max integer,
    orphan_rule catalog.orphan_rule NOT NULL,
    -- When the state next changes by itself.
    due_at timestamp with time zone GENERATED ALWAYS AS (
    CASE
        WHEN deleted_at IS NOT NULL THEN NULL::timestamp with time zone
        WHEN state = 'DRAFT'::catalog.show_state THEN sales_open_at
        WHEN state = ANY (ARRAY['ON_SALE'::catalog.show_state, 'PAUSED'::catalog.show_state]) THEN sales_close_at
        ELSE NULL::timestamp with time zone
    END) STORED,
    -- The proposal that waits for an answer, or the one that was refused last; null: neither.
    proposal_revision bigint,
    -- The state of that proposal.
    proposal_state catalog.proposal_state,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    cancelled_at timestamp with time zone,
    -- A deleted show stays as a tombstone, so that the feed can tell of it.
    deleted_at timestamp with time zone,
    -- Who organises it; empty if nobody is named. Never changed after the show is created.
    organiser text DEFAULT ''::text NOT NULL,
    CONSTRAINT shows_pkey PRIMARY KEY (show_id),
    CONSTRAINT shows_layout_id_fkey FOREIGN KEY (layout_id) REFERENCES catalog.layouts(layout_id),
    CONSTRAINT shows_show_id_proposal_revision_fkey FOREIGN KEY (show_id, proposal_revision) REFERENCES catalog.proposals(show_id, revision) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT close_after_open CHECK (sales_close_at > sales_open_at),
    CONSTRAINT close_while_it_lasts CHECK (sales_close_at <= COALESCE(end_at, start_at)),
    CONSTRAINT offered_once_on_sale CHECK (offered OR (state = ANY (ARRAY['DRAFT'::catalog.show_state, 'CANCELLED'::catalog.show_state])) AND sales_open_at IS NULL),
    CONSTRAINT open_before_the_sale_ends CHECK (sales_close_at IS NOT NULL OR sales_open_at < start_at),
    CONSTRAINT proposal_pending_or_refused CHECK ((proposal_revision IS NULL) = (proposal_state IS NULL) AND (proposal_state = ANY (ARRAY['PENDING'::catalog.proposal_state, 'REFUSED'::catalog.proposal_state]))),
    CONSTRAINT room_for_somebody CHECK ((seat_count + place_count) > 0),
    CONSTRAINT shows_check CHECK (end_at > start_at),
    CONSTRAINT shows_check1 CHECK (updated_at >= created_at),
    CONSTRAINT shows_check2 CHECK ((state = 'CANCELLED'::catalog.show_state) = (cancelled_at IS NOT NULL)),
    CONSTRAINT shows_hold_ms_check CHECK (hold_ms >= 10000 AND hold_ms <= 1800000),
    CONSTRAINT shows_name_check CHECK (char_length(name) >= 1 AND char_length(name) <= 200),
    CONSTRAINT shows_organiser_check CHECK (organiser ~ '^[A-Za-z0-9._-]{0,64}$'::text),
    CONSTRAINT shows_place_count_check CHECK (place_count >= 0 AND place_count <= 100000000),
    CONSTRAINT shows_places_per_customer_max_check CHECK (places_per_customer_max >= 1 AND places_per_customer_max <= 10000),
    CONSTRAINT shows_revision_check CHECK (revision > 0),
    CONSTRAINT shows_seat_count_check CHECK (seat_count >= 0 AND seat_count <= 100000),
    CONSTRAINT shows_seats_per_booking_max_check CHECK (seats_per_booking_max >= 1 AND seats_per_booking_max <= 100),
    CONSTRAINT shows_time_zone_check CHECK (char_length(time_zone) >= 1 AND char_length(time_zone) <= 64),
    CONSTRAINT shows_venue_check CHECK (char_length(venue) <= 200)
);
-- For the schedule worker.
CREATE INDEX shows_by_due ON catalog.shows USING btree (due_at) WHERE due_at IS NOT NULL;
-- Whether a show uses a layout.
CREATE INDEX shows_by_layout ON catalog.shows USING btree (layout_id) WHERE deleted_at IS NULL;
-- Searches for shows whose name has a text in it.
CREATE INDEX shows_by_name ON catalog.shows USING gin (name_folded public.gin_trgm_ops) WITH (fastupdate=off);
-- The feed. Unique: a revision is one write of one show.
CREATE UNIQUE INDEX shows_by_revision ON catalog.shows USING btree (revision);
-- Lists of shows, all or of a period.
CREATE INDEX shows_by_start ON catalog.shows USING btree (start_at, show_id) WHERE deleted_at IS NULL;
-- Lists of shows in a state.
CREATE INDEX shows_by_state ON catalog.shows USING btree (state, start_at, show_id) WHERE deleted_at IS NULL;
-- Lists of shows of a type.
CREATE INDEX shows_by_type ON catalog.shows USING btree (show_type, start_at, show_id) WHERE deleted_at IS NULL;
-- Lists of shows at a venue.
CREATE INDEX shows_by_venue ON catalog.shows USING btree (venue, start_at, show_id) WHERE deleted_at IS NULL;
GRANT INSERT, SELECT, UPDATE ON catalog.shows TO catalog_svc;

-- Histories of revisions. A database that was restored, or promoted without its last transactions,
-- gives out revisions a second time, for other writes. They are on another timeline, so a reader
-- can tell.
CREATE TABLE catalog.timelines (
    timeline_id uuid NOT NULL,
    -- It has the revisions after this one, up to where the next timeline begins.
    begins_after bigint NOT NULL,
    CONSTRAINT timelines_pkey PRIMARY KEY (timeline_id),
    CONSTRAINT timelines_begins_after_key UNIQUE (begins_after),
    CONSTRAINT timelines_begins_after_check CHECK (begins_after >= '-1'::integer)
);
GRANT INSERT, SELECT ON catalog.timelines TO catalog_svc;

-- Begins another timeline with the first revision that a run of the server writes. The server
-- cannot know whether revisions were lost before it started, so every run gets its own.
CREATE OR REPLACE FUNCTION catalog.begin_timeline()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

-- Sales, seats, bookings and their log, customers, payments. Owned by booking-svc; expiry-worker
-- fails expired holds in it.
CREATE SCHEMA booking;
GRANT USAGE ON SCHEMA booking TO booking_svc;
GRANT USAGE ON SCHEMA booking TO expiry_worker;

-- PENDING: holds its seats and places until expires_at. CONFIRMED: has them. CANCELLED and FAILED:
-- has none. docs/booking-states.md has the transitions.
CREATE TYPE booking.booking_state AS ENUM ('PENDING', 'CONFIRMED', 'CANCELLED', 'FAILED');

-- Who ended a booking that is CANCELLED.
CREATE TYPE booking.cancel_reason AS ENUM ('CUSTOMER', 'SHOW_CANCELLED');

-- Why a PENDING booking has FAILED.
CREATE TYPE booking.failure_reason AS ENUM ('EXPIRED', 'PAYMENT_DECLINED', 'SHOW_CANCELLED');

-- As catalog.orphan_rule.
CREATE TYPE booking.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');

-- Where an attempt to pay is. STARTED: its outcome is not known yet.
CREATE TYPE booking.payment_state AS ENUM ('STARTED', 'CAPTURED', 'DECLINED');

-- Where a refund is. DECLINED: the provider refused it, and a person has to handle it.
CREATE TYPE booking.refund_state AS ENUM ('DUE', 'REFUNDED', 'DECLINED');

-- The show's state in the catalog, as catalog.show_state.
CREATE TYPE booking.sale_state AS ENUM ('ON_SALE', 'CANCELLED', 'DRAFT', 'PAUSED', 'CLOSED');

-- The commands: what can happen to a booking. booking.is_legal says between which states.
CREATE TYPE booking.verb AS ENUM ('RESERVE', 'CONFIRM', 'CANCEL', 'EXPIRE', 'VOID', 'EXTEND', 'SWAP', 'RELEASE', 'SELL', 'PAY', 'DECLINE', 'REINSTATE', 'REPAY');

-- Answers to proposals that the catalog does not have yet: an outbox. Each is written in the
-- transaction that makes it true; the answer relay sends it, and deletes it when the catalog has
-- it.
CREATE TABLE booking.answers (
    show_id uuid NOT NULL,
    -- The catalog's revision that made the proposal.
    proposal bigint NOT NULL,
    accepted boolean NOT NULL,
    -- Why it was refused: the labels of seats that have live bookings, or the areas; 100 at most.
    booked_seats text[] NOT NULL,
    CONSTRAINT answers_pkey PRIMARY KEY (show_id),
    CONSTRAINT answers_show_id_fkey FOREIGN KEY (show_id) REFERENCES booking.sales(show_id),
    CONSTRAINT accepted_without_bookings CHECK (NOT accepted OR cardinality(booked_seats) = 0),
    CONSTRAINT answers_booked_seats_check CHECK (cardinality(booked_seats) <= 100),
    CONSTRAINT answers_proposal_check CHECK (proposal > 0)
);
GRANT DELETE, INSERT, SELECT, UPDATE ON booking.answers TO booking_svc;

-- Who holds, has or had which seats and places of a show. A booking is never deleted, and its id
-- never changes. If you read, read bookings_now: it shows expired holds as FAILED.
CREATE TABLE booking.bookings (
    show_id uuid NOT NULL,
    -- Begins with the 48-bit key of its show.
    booking_id uuid NOT NULL,
    state booking.booking_state NOT NULL,
    failure_reason booking.failure_reason,
    cancel_reason booking.cancel_reason,
    -- 1 when it is made; each further event in the log adds 1.
    version integer NOT NULL,
    -- Whom it is for, by an id that the caller manages; else email is set.
    customer_id text,
    -- Whom it is for, by the e-mail address that it was made with, in the form of customers.email;
    -- else customer_id is set.
    email text,
    -- The row of customers that it belongs to; null if customer_id is set. Never changes.
    linked_customer_id uuid,
    -- Its seats, ascending.
    seat_ordinals integer[] NOT NULL,
    -- The price of each of those seats in minor units, frozen when it was taken.
    seat_prices bigint[] NOT NULL,
    -- The price tier of each of those seats, frozen too.
    seat_tiers text[] NOT NULL,
    -- Its places: [{"area": ..., "quantity": ..., "price": of each, "tier": ...}, ...], at frozen
    -- prices. Null if it has none, as most bookings.
    areas jsonb,
    -- The ordinals of the orphans that it left, if its seats were chosen by label and the show has
    -- an orphan rule. Ascending, at most two for each of its seats. Null if there are none.
    orphans integer[],
    -- What its seats and places cost together, in minor units.
    total bigint NOT NULL,
    -- ISO 4217 code.
    currency text NOT NULL,
    -- The price of what was given back after it was confirmed, in minor units; null if nothing was.
    -- Together with the total it is what was paid.
    released bigint,
    -- What is owed to the customer, in minor units; null if nothing is.
    refund_due bigint,
    -- The newest attempt to pay: a row of payments.
    payment_key uuid,
    -- The state of that attempt, as in its row. Here too, because a batch locks this row to decide.
    payment_state booking.payment_state,
    -- The reference of a payment that was taken elsewhere.
    payment_reference text,
    created_at timestamp with time zone NOT NULL,
    -- When its hold ends, by the database's clock, whether or not the row says FAILED by then.
    expires_at timestamp with time zone NOT NULL,
    -- While it is PENDING and has places, its expires_at; else null.
    places_held_until timestamp with time zone,
    confirmed_at timestamp with time zone,
    -- When a PENDING or CONFIRMED one was cancelled.
    cancelled_at timestamp with time zone,
    -- When it failed. For an expired hold that is expires_at, however late it is recorded.
    failed_at timestamp with time zone,
    CONSTRAINT bookings_pkey PRIMARY KEY (show_id, booking_id),
    CONSTRAINT is_sound CHECK (booking.is_sound(bookings.*))
) WITH (autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.02, fillfactor=50);
-- Lists of a customer's bookings by an id that the caller manages.
CREATE INDEX bookings_by_customer ON booking.bookings USING btree (customer_id, show_id, booking_id) WHERE customer_id IS NOT NULL;
-- Lists of a customer's bookings by e-mail address.
CREATE INDEX bookings_by_email ON booking.bookings USING btree (email, show_id, booking_id) WHERE email IS NOT NULL;
-- For expiry-worker. Bookings of every state stay in it, and the worker reads over them.
CREATE INDEX bookings_by_expiry ON booking.bookings USING btree (expires_at);
-- Lists of a customer's bookings by the customer's record.
CREATE INDEX bookings_by_linked_customer ON booking.bookings USING btree (linked_customer_id, show_id, booking_id) WHERE linked_customer_id IS NOT NULL;
-- Holds with places, and nothing else: those that go on, and those that have expired and are not
-- FAILED yet. A booking without places never touches it.
CREATE INDEX bookings_holding_places ON booking.bookings USING btree (show_id, places_held_until) WHERE places_held_until IS NOT NULL;
CREATE TRIGGER bookings_stay BEFORE DELETE OR UPDATE OF show_id, booking_id ON booking.bookings FOR EACH STATEMENT EXECUTE FUNCTION booking.bookings_stay();
GRANT INSERT, SELECT, UPDATE ON booking.bookings TO booking_svc;
GRANT SELECT, UPDATE (state, failure_reason, version, places_held_until, failed_at) ON booking.bookings TO expiry_worker;

-- The first result of every mutation of a customer that came with a request id, kept for a day. A
-- replay gets it.
CREATE TABLE booking.customer_requests (
    request_id uuid NOT NULL,
    -- A hash of the command and the body: the same id with another one is rejected.
    fingerprint bigint NOT NULL,
    -- The customer's row as the call returned it. Null only inside the transaction that inserts
    -- this row: it takes the key first, so that a second copy of the call waits.
    result jsonb,
    -- Whether the call made the customer.
    created boolean,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT customer_requests_pkey PRIMARY KEY (request_id),
    CONSTRAINT customer_requests_check CHECK ((result IS NULL) = (created IS NULL))
);
-- For the sweep, which deletes the oldest.
CREATE INDEX customer_requests_by_age ON booking.customer_requests USING btree (created_at);
-- For an erasure: the stored results that show the customer.
CREATE INDEX customer_requests_by_customer ON booking.customer_requests USING btree ((result ->> 'customer_id'::text));
GRANT DELETE, INSERT, SELECT, UPDATE (result, created) ON booking.customer_requests TO booking_svc;

-- People who book, one row per e-mail address. Never deleted: no role may.
CREATE TABLE booking.customers (
    -- A UUID of version 7: ascending ids are ascending times.
    customer_id uuid NOT NULL,
    -- 1 when it is made; each update adds 1.
    version integer NOT NULL,
    -- In one form, however it was typed: normalization form C, lower case, the domain in Unicode
    -- and without a dot at its end. The service makes that form: PostgreSQL knows no
    -- internationalised domains.
    email text NOT NULL,
    -- May be empty, as the phone may.
    display_name text NOT NULL,
    phone text NOT NULL,
    -- The id in the caller's own books; may be empty.
    external_reference text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    -- The UUID of the tombstone that replaced what named this customer. Null unless it was erased.
    erased_as uuid,
    CONSTRAINT customers_pkey PRIMARY KEY (customer_id),
    CONSTRAINT customers_check CHECK (updated_at >= created_at),
    CONSTRAINT customers_display_name_check CHECK (char_length(display_name) <= 200),
    CONSTRAINT customers_email_check CHECK (char_length(email) >= 3 AND char_length(email) <= 254),
    CONSTRAINT customers_external_reference_check CHECK (char_length(external_reference) <= 128),
    CONSTRAINT customers_phone_check CHECK (char_length(phone) <= 32),
    CONSTRAINT customers_version_check CHECK (version >= 1),
    CONSTRAINT erased_for_good CHECK (erased_as IS NULL OR email = (('erased-'::text || erased_as::text) || '@erased.invalid'::text) AND display_name = ''::text AND phone = ''::text AND external_reference = ''::text)
);
-- An e-mail address has at most one customer.
CREATE UNIQUE INDEX customers_by_email ON booking.customers USING btree (email);
GRANT INSERT, SELECT, UPDATE (version, email, display_name, phone, external_reference, updated_at, erased_as) ON booking.customers TO booking_svc;

-- Shows that the catalog deleted before they had a sale. A reserve that read such a show from the
-- catalog before its deletion, and inserts the sale after it, finds the row and stops.
CREATE TABLE booking.deleted_shows (
    show_id uuid NOT NULL,
    -- The catalog's revision that deleted it; as sales.revision.
    revision bigint NOT NULL,
    CONSTRAINT deleted_shows_pkey PRIMARY KEY (show_id),
    CONSTRAINT deleted_shows_revision_check CHECK (revision > 0)
);
GRANT INSERT, SELECT, UPDATE (revision) ON booking.deleted_shows TO booking_svc;

-- The erasures that are not complete, so that a repeat of the call goes on with the same tombstone.
-- The row is deleted when the erasure is complete: it names the person.
CREATE TABLE booking.erasures (
    -- What replaces the person in bookings and the log.
    tombstone uuid NOT NULL,
    -- The customer_id of the bookings to erase, if it was erased by an id.
    customer_id text,
    -- The address to erase, if one is known.
    email text,
    -- The row of customers, if there is one. Its bookings are erased, whatever names them.
    linked_customer_id uuid,
    -- By the database's clock. Bookings that are made later stay as they are.
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT erasures_pkey PRIMARY KEY (tombstone),
    CONSTRAINT erasures_customer_id_check CHECK (char_length(customer_id) >= 1 AND char_length(customer_id) <= 128),
    CONSTRAINT erasures_email_check CHECK (char_length(email) >= 3 AND char_length(email) <= 254),
    CONSTRAINT of_somebody CHECK (num_nonnulls(customer_id, email, linked_customer_id) > 0)
);
-- One erasure of an id at a time.
CREATE UNIQUE INDEX erasures_by_customer ON booking.erasures USING btree (customer_id);
-- One erasure of an address at a time.
CREATE UNIQUE INDEX erasures_by_email ON booking.erasures USING btree (email);
-- One erasure of a customer at a time.
CREATE UNIQUE INDEX erasures_by_linked_customer ON booking.erasures USING btree (linked_customer_id);
GRANT DELETE, INSERT, SELECT ON booking.erasures TO booking_svc;

-- One row: up to where the catalog's feed has been applied, and whose feed it is. Applying a
-- snapshot locks it before anything else.
CREATE TABLE booking.feed_cursor (
    singleton boolean DEFAULT true NOT NULL,
    -- Everything up to it has been applied.
    revision bigint DEFAULT 0 NOT NULL,
    -- The catalog that is followed; null until it first answers.
    installation_id uuid,
    -- The timeline that the revision belongs to; null until the catalog first answers.
    timeline_id uuid,
    -- How often another catalog, or a restored one, has been accepted in place of the one before.
    -- See sales.revision.
    epoch bigint DEFAULT 0 NOT NULL,
    -- A catalog that booking-svc has found and does not follow, because it is another one, or has
    -- lost what was followed: what `migrate accept-catalog` would have it follow. Null if none.
    found_installation_id uuid,
    -- Its newest revision when it was found.
    found_revision bigint,
    -- When it was found.
    found_at timestamp with time zone,
    CONSTRAINT feed_cursor_pkey PRIMARY KEY (singleton),
    CONSTRAINT feed_cursor_epoch_check CHECK (epoch >= 0 AND epoch <= 4194303),
    CONSTRAINT feed_cursor_revision_check CHECK (revision >= 0),
    CONSTRAINT feed_cursor_singleton_check CHECK (singleton),
    CONSTRAINT found_as_a_whole CHECK ((found_installation_id IS NULL) = (found_at IS NULL) AND (found_revision IS NULL) = (found_at IS NULL))
);
GRANT SELECT, UPDATE ON booking.feed_cursor TO booking_svc;

-- Every attempt to pay for a booking, written before the provider is first asked. See
-- docs/payments.md.
CREATE TABLE booking.payments (
    show_id uuid NOT NULL,
    -- The idempotency key that the provider knows it by.
    payment_key uuid NOT NULL,
    booking_id uuid NOT NULL,
    state booking.payment_state NOT NULL,
    -- The booking's total, in minor units.
    amount bigint NOT NULL,
    currency text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    -- From then on the reconciler settles it: it asks the provider to void it.
    deadline_at timestamp with time zone NOT NULL,
    -- When its outcome became certain.
    settled_at timestamp with time zone,
    decline_reason text,
    -- How often the reconciler has tried to settle it.
    looks integer DEFAULT 0 NOT NULL,
    -- When the reconciler tries next.
    look_at timestamp with time zone NOT NULL,
    CONSTRAINT payments_pkey PRIMARY KEY (show_id, payment_key),
    CONSTRAINT declined_for_a_reason CHECK ((state = 'DECLINED'::booking.payment_state) = (decline_reason IS NOT NULL)),
    CONSTRAINT payments_amount_check CHECK (amount > 0),
    CONSTRAINT payments_check CHECK (deadline_at > started_at),
    CONSTRAINT payments_currency_check CHECK (char_length(currency) = 3),
    CONSTRAINT payments_decline_reason_check CHECK (char_length(decline_reason) >= 1 AND char_length(decline_reason) <= 64),
    CONSTRAINT payments_looks_check CHECK (looks >= 0),
    CONSTRAINT settled_once CHECK ((state = 'STARTED'::booking.payment_state) = (settled_at IS NULL))
) WITH (fillfactor=80);
-- For the reconciler: attempts without an outcome.
CREATE INDEX payments_to_settle ON booking.payments USING btree (look_at) WHERE state = 'STARTED'::booking.payment_state;
-- A booking is paid by one attempt at a time.
CREATE UNIQUE INDEX payments_under_way ON booking.payments USING btree (show_id, booking_id) WHERE state = 'STARTED'::booking.payment_state;
GRANT INSERT, SELECT, UPDATE (state, settled_at, decline_reason, looks, look_at) ON booking.payments TO booking_svc;

-- Money to give back of what was paid through Ticketing, written in the transaction that makes it
-- due.
CREATE TABLE booking.refunds (
    show_id uuid NOT NULL,
    -- The attempt whose money is given back.
    payment_key uuid NOT NULL,
    -- The idempotency key that the provider knows it by.
    refund_key uuid NOT NULL,
    booking_id uuid NOT NULL,
    state booking.refund_state DEFAULT 'DUE'::booking.refund_state NOT NULL,
    -- In minor units, in the attempt's currency.
    amount bigint NOT NULL,
    owed_at timestamp with time zone NOT NULL,
    -- When the provider had made or declined it.
    settled_at timestamp with time zone,
    -- How often the reconciler has tried to make it.
    looks integer DEFAULT 0 NOT NULL,
    -- When the reconciler tries next.
    look_at timestamp with time zone NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (show_id, payment_key, refund_key),
    CONSTRAINT refunds_show_id_payment_key_fkey FOREIGN KEY (show_id, payment_key) REFERENCES booking.payments(show_id, payment_key),
    CONSTRAINT refunds_amount_check CHECK (amount > 0),
    CONSTRAINT refunds_looks_check CHECK (looks >= 0),
    CONSTRAINT settled_once CHECK ((state = 'DUE'::booking.refund_state) = (settled_at IS NULL))
) WITH (fillfactor=80);
-- For the reconciler: refunds that are not made yet.
CREATE INDEX refunds_to_pay ON booking.refunds USING btree (look_at) WHERE state = 'DUE'::booking.refund_state;
GRANT INSERT, SELECT, UPDATE (state, settled_at, looks, look_at) ON booking.refunds TO booking_svc;

-- Stored rejections: why calls with a request id were rejected, kept for a day. A replay is
-- rejected the same way. A request id is here or in the log, whichever came first, never in both
-- (docs/adr/0005-stored-rejections.md).
CREATE TABLE booking.rejections (
    show_id uuid NOT NULL,
    request_id uuid NOT NULL,
    -- As transitions.fingerprint.
    fingerprint bigint NOT NULL,
    -- What the caller was told.
    rejection jsonb NOT NULL,
    -- When, by the database's clock, after the rows were locked.
    refused_at timestamp with time zone NOT NULL,
    CONSTRAINT rejections_pkey PRIMARY KEY (show_id, request_id)
);
-- For the sweep, which deletes the oldest.
CREATE INDEX rejections_by_age ON booking.rejections USING btree (refused_at);
GRANT DELETE, INSERT, SELECT, UPDATE (refused_at) ON booking.rejections TO booking_svc;

-- booking-svc's own record that a show can be booked: a copy of the show at one revision. Every
-- batch locks it in shared mode; applying a snapshot locks it exclusively.
CREATE TABLE booking.sales (
    show_id uuid NOT NULL,
    -- The catalog's revision that this is a copy of, plus 2^40 for each earlier epoch of the feed
    -- cursor: what a catalog says that was accepted later is newer, whatever its revision. Never
    -- goes back.
    revision bigint NOT NULL,
    state booking.sale_state NOT NULL,
    start_at timestamp with time zone NOT NULL,
    -- When a DRAFT goes on sale by itself; null: it does not.
    sales_open_at timestamp with time zone,
    -- When the sale ends by itself; null: when the show starts.
    sales_close_at timestamp with time zone,
    -- Sections, rows, seats and areas; see the crate model.
    layout jsonb NOT NULL,
    -- Which ordinal each seat of the layout has, and the names of the seats that the layout has
    -- dropped. JSON null: a seat's ordinal is its position in the layout.
    numbering jsonb DEFAULT 'null'::jsonb NOT NULL,
    -- How many ordinals the show has ever given out; each has a row in show_seats.
    seat_count integer NOT NULL,
    -- The currency, and the price tiers with the sections, rows, seats and areas of each.
    prices jsonb NOT NULL,
    -- How long a reservation that does not say so holds its seats, in milliseconds; null: as the
    -- service is set.
    hold_ms integer,
    -- The most seats and places of one booking; null: as the service is set.
    seats_per_booking_max integer,
    -- The quota: the most seats and places of one customer's live bookings; null: no limit.
    places_per_customer_max integer,
    orphan_rule booking.orphan_rule DEFAULT 'OFF'::booking.orphan_rule NOT NULL,
    -- The catalog's revision of a proposal that is answered here and not yet decided there.
    proposal bigint,
    -- The ordinals of the seats that are off sale because that proposal drops them.
    withdrawn integer[] DEFAULT '{}'::integer[] NOT NULL,
    -- Whether the show is off sale because that proposal deletes it.
    off_sale boolean DEFAULT false NOT NULL,
    -- When the cancelled-shows worker found no live booking of the cancelled show any more.
    fully_cancelled_at timestamp with time zone,
    CONSTRAINT sales_pkey PRIMARY KEY (show_id),
    CONSTRAINT cancelled_before_fully_cancelled CHECK (fully_cancelled_at IS NULL OR state = 'CANCELLED'::booking.sale_state),
    CONSTRAINT sales_hold_ms_check CHECK (hold_ms >= 10000 AND hold_ms <= 1800000),
    CONSTRAINT sales_places_per_customer_max_check CHECK (places_per_customer_max >= 1 AND places_per_customer_max <= 10000),
    CONSTRAINT sales_proposal_check CHECK (proposal > 0),
    CONSTRAINT sales_revision_check CHECK (revision > 0),
    CONSTRAINT sales_seat_count_check CHECK (seat_count >= 0),
    CONSTRAINT sales_seats_per_booking_max_check CHECK (seats_per_booking_max >= 1 AND seats_per_booking_max <= 100),
    CONSTRAINT withdrawn_by_a_proposal CHECK (proposal IS NOT NULL OR NOT off_sale AND cardinality(withdrawn) = 0)
) WITH (fillfactor=90);
-- For the cancelled-shows worker.
CREATE INDEX sales_not_fully_cancelled ON booking.sales USING btree (show_id) WHERE state = 'CANCELLED'::booking.sale_state AND fully_cancelled_at IS NULL;
CREATE TRIGGER sales_stay BEFORE DELETE OR UPDATE OF show_id ON booking.sales FOR EACH ROW EXECUTE FUNCTION booking.sales_stay();
GRANT INSERT, SELECT, UPDATE ON booking.sales TO booking_svc;

-- General admission: a counter for each area of a show, whose places are sold by number. See
-- docs/areas.md.
CREATE TABLE booking.show_areas (
    show_id uuid NOT NULL,
    -- The area's name, which identifies it for the whole life of its show.
    area text COLLATE "C" NOT NULL,
    -- How many places are for sale, or sold; 0 once the layout no longer has the area.
    capacity integer NOT NULL,
    -- How many places PENDING and CONFIRMED bookings have.
    taken integer DEFAULT 0 NOT NULL,
    -- How far taken exceeded capacity when that was lowered: places of expired holds that were not
    -- FAILED yet. No place is given before they are.
    overhang integer DEFAULT 0 NOT NULL,
    -- Grows by each place that is given back. So a statement that waited for the counter's lock can
    -- tell whether any was given back meanwhile. See docs/optimistic-path.md.
    given_back bigint DEFAULT 0 NOT NULL,
    CONSTRAINT show_areas_pkey PRIMARY KEY (show_id, area),
    CONSTRAINT show_areas_show_id_fkey FOREIGN KEY (show_id) REFERENCES booking.sales(show_id),
    CONSTRAINT show_areas_area_check CHECK (char_length(area) >= 1 AND char_length(area) <= 100),
    CONSTRAINT show_areas_capacity_check CHECK (capacity >= 0 AND capacity <= 1000000),
    CONSTRAINT show_areas_overhang_check CHECK (overhang >= 0),
    CONSTRAINT taken_within_capacity CHECK (taken >= 0 AND taken <= (capacity + overhang))
) WITH (fillfactor=20, autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.05);
CREATE TRIGGER places_given_back BEFORE UPDATE OF taken ON booking.show_areas FOR EACH ROW WHEN (new.taken < old.taken) EXECUTE FUNCTION booking.note_given_back();
GRANT INSERT, SELECT, UPDATE ON booking.show_areas TO booking_svc;
GRANT SELECT, UPDATE (taken) ON booking.show_areas TO expiry_worker;

-- One row per seat, and one owner per row: this is why a seat cannot be sold twice. A seat's status
-- follows from its owner's state, so a confirm does not write it.
CREATE TABLE booking.show_seats (
    show_id uuid NOT NULL,
    -- The number that the seat's label keeps for the whole life of its show. A seat that the layout
    -- drops keeps its row.
    ordinal integer NOT NULL,
    -- The booking that holds or has the seat; null while it is free.
    booking_id uuid,
    CONSTRAINT show_seats_pkey PRIMARY KEY (show_id, ordinal),
    CONSTRAINT show_seats_ordinal_check CHECK (ordinal >= 0)
) WITH (fillfactor=70, autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.05);
CREATE TRIGGER new_owners_exist AFTER INSERT ON booking.show_seats REFERENCING NEW TABLE AS given FOR EACH STATEMENT EXECUTE FUNCTION booking.owners_exist();
CREATE TRIGGER owners_exist AFTER UPDATE ON booking.show_seats REFERENCING NEW TABLE AS given FOR EACH STATEMENT EXECUTE FUNCTION booking.owners_exist();
CREATE TRIGGER sales_exist AFTER INSERT ON booking.show_seats REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION booking.sales_exist();
CREATE TRIGGER seats_stay BEFORE UPDATE OF show_id, ordinal ON booking.show_seats FOR EACH STATEMENT EXECUTE FUNCTION booking.seats_stay();
GRANT INSERT, SELECT, UPDATE ON booking.show_seats TO booking_svc;
GRANT SELECT, UPDATE (booking_id) ON booking.show_seats TO expiry_worker;

-- The log: every event of every booking, written in the transaction that makes the change. Append
-- only.
CREATE TABLE booking.transitions (
    show_id uuid NOT NULL,
    booking_id uuid NOT NULL,
    -- The booking's version that it led to.
    version integer NOT NULL,
    -- The command that made it.
    verb booking.verb NOT NULL,
    -- Null if it made the booking.
    from_state booking.booking_state,
    to_state booking.booking_state NOT NULL,
    -- When, by the database's clock, after the rows were locked.
    made_at timestamp with time zone NOT NULL,
    -- Who made it: the name of a service, until callers have names.
    actor text NOT NULL,
    -- The caller's, or one that the service made. Unique within a show, which makes every mutation
    -- safe to repeat.
    request_id uuid NOT NULL,
    -- A hash of the command and the body: the same id with another one is rejected.
    fingerprint bigint NOT NULL,
    -- The writing transaction. Rows below pg_snapshot_xmin() are final, so a reader can follow the
    -- changes of a show without missing one that commits late.
    written_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    -- What it replaced in its booking, if more than the state changed: seats, places, total, what
    -- was released, the end of the hold. Replays of earlier requests are answered from it.
    prior jsonb,
    CONSTRAINT transitions_pkey PRIMARY KEY (show_id, booking_id, version),
    CONSTRAINT legal CHECK (booking.is_legal(verb, version, from_state, to_state)),
    CONSTRAINT transitions_actor_check CHECK (char_length(actor) >= 1 AND char_length(actor) <= 128),
    CONSTRAINT transitions_version_check CHECK (version >= 1)
);
-- A request id has one effect within a show.
CREATE UNIQUE INDEX transitions_by_request ON booking.transitions USING btree (show_id, request_id);
GRANT INSERT, SELECT ON booking.transitions TO booking_svc;
GRANT INSERT ON booking.transitions TO expiry_worker;

-- The bookings as they are at this moment: an expired hold is FAILED (EXPIRED), whether or not
-- expiry-worker has recorded it. For reads; a transaction that decides locks the rows.
CREATE VIEW booking.bookings_now AS
 SELECT b.show_id,
    b.booking_id,
        CASE
            WHEN hold.lapsed THEN 'FAILED'::booking.booking_state
            ELSE b.state
        END AS state,
        CASE
            WHEN hold.lapsed THEN 'EXPIRED'::booking.failure_reason
            ELSE b.failure_reason
        END AS failure_reason,
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
        CASE
            WHEN hold.lapsed THEN b.expires_at
            ELSE b.failed_at
        END AS failed_at
   FROM booking.bookings b
     CROSS JOIN LATERAL ( SELECT b.state = 'PENDING'::booking.booking_state AND b.expires_at <= clock_timestamp() AS lapsed) hold;
GRANT SELECT ON booking.bookings_now TO booking_svc;

-- A booking that the batch changes, with the version and the end of hold that it must have.
CREATE TYPE booking.changed_booking AS (
    show_id uuid,
    booking_id uuid,
    prior_version integer,
    version integer,
    state text,
    failure_reason text,
    cancel_reason text,
    expires_at timestamp with time zone,
    confirmed_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    failed_at timestamp with time zone,
    refund_due bigint
);

-- An area that was not locked before, and how many more of its places are taken.
CREATE TYPE booking.counted_area AS (
    show_id uuid,
    area text,
    quantity integer
);

-- A sale that was not locked before: the revision that it must have (null: any), and until when it
-- is as expected.
CREATE TYPE booking.expected_sale AS (
    show_id uuid,
    revision bigint,
    until timestamp with time zone
);

-- A seat that changes its owner, with the owner that it must have had.
CREATE TYPE booking.given_seat AS (
    show_id uuid,
    ordinal integer,
    prior_booking_id uuid,
    booking_id uuid
);

-- A booking that the batch makes.
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
    expires_at timestamp with time zone,
    confirmed_at timestamp with time zone
);

-- An event for the log.
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

-- No one may delete a booking or change its id, not even the schema's owner.
CREATE OR REPLACE FUNCTION booking.bookings_stay()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'a booking is never deleted, nor is its id changed'
        USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'bookings',
            CONSTRAINT = TG_NAME;
END
$function$;

-- Puts a tombstone in place of a person's name as the actor of events, in the log of bookings that
-- have that tombstone already. The only way to change the log.
CREATE OR REPLACE FUNCTION booking.erase_actors(show_ids uuid[], booking_ids uuid[], names text[], tombstone uuid)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    erased text := 'erased-' || tombstone::text;
    changed bigint;
BEGIN
    UPDATE booking.transitions AS t
    SET actor = erased
    FROM unnest(show_ids, booking_ids) AS wanted (show_id, booking_id)
    WHERE t.show_id = ANY (ARRAY[wanted.show_id]) AND t.booking_id = wanted.booking_id
        AND t.actor NOT IN (erased, 'booking-svc', 'expiry-worker')
        -- An actor is a name, or a name and what it acted by: "ann (web-shop)". A long one is cut, and
        -- a name that could be read as another's ends in "…" and a hash.
        AND EXISTS (
            SELECT
            FROM unnest(names) AS person (name)
            WHERE t.actor = name OR starts_with(t.actor, name || ' (') OR starts_with(t.actor, name || '…')
                OR char_length(name) > 64 AND starts_with(t.actor, left(name, 64))
        )
        AND (
            SELECT coalesce(b.customer_id, b.email) IN (erased, erased || '@erased.invalid')
            FROM booking.bookings AS b
            WHERE b.show_id = wanted.show_id AND b.booking_id = wanted.booking_id
        );
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$function$;

-- Aborts if one of the requests was rejected before. For a write that did not lock first.
CREATE OR REPLACE FUNCTION booking.expect_no_rejection(show_ids uuid[], request_ids uuid[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$;

-- Aborts the transaction if a statement touched another number of rows than expected. Of rows that
-- were locked, that is a fault of ours, and a COMMIT would hide it. Of rows that were only
-- remembered, they have changed, and the batch is decided again.
CREATE OR REPLACE FUNCTION booking.expect_rows(what text, touched bigint, expected bigint)
 RETURNS void
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF touched IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '%: % rows touched, % expected', what, touched, expected
            USING ERRCODE = 'TK001';
    END IF;
END
$function$;

-- Whether a command may move a booking from one state to another, and make this version of it.
CREATE OR REPLACE FUNCTION booking.is_legal(verb booking.verb, version integer, from_state booking.booking_state, to_state booking.booking_state)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
$function$;

-- The rules of a booking's row: it must not contradict itself. Raises check_violation, and names
-- the broken rule as the constraint.
CREATE OR REPLACE FUNCTION booking.is_sound(b booking.bookings)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
$function$;

-- Counts places that are given back, whichever statement lowers taken.
CREATE OR REPLACE FUNCTION booking.note_given_back()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.given_back := OLD.given_back + OLD.taken - NEW.taken;
    RETURN NEW;
END
$function$;

-- The owner of a seat is a booking of the same show.
CREATE OR REPLACE FUNCTION booking.owners_exist()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

-- Aborts a transaction that would grant what was rejected before, as transitions_by_request aborts
-- one that would grant again what was granted.
CREATE OR REPLACE FUNCTION booking.refused_before()
 RETURNS boolean
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'a request id has been refused before'
        USING ERRCODE = 'unique_violation', SCHEMA = 'booking', TABLE = 'rejections', CONSTRAINT = 'rejections_pkey';
END
$function$;

-- The rule that a booking's places break, or null. Each area at most once, a quantity of at least
-- 1, at most 100 seats and places together, and places_held_until as its comment says.
CREATE OR REPLACE FUNCTION booking.rule_of_places_broken_by(b booking.bookings)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE
AS $function$
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
$function$;

-- A seat belongs to a show that has a sale.
CREATE OR REPLACE FUNCTION booking.sales_exist()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
$function$;

-- A sale stays, under its id, as long as it has seats; a seat never changes its show.
CREATE OR REPLACE FUNCTION booking.sales_stay()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    IF EXISTS (SELECT FROM booking.show_seats AS s WHERE s.show_id = OLD.show_id) THEN
        RAISE EXCEPTION 'sale % has seats', OLD.show_id
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'sales',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN coalesce(NEW, OLD);
END
$function$;

-- A seat never changes its show or its ordinal: sales_stay relies on it.
CREATE OR REPLACE FUNCTION booking.seats_stay()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
    RAISE EXCEPTION 'a seat never changes its show or its number'
        USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
            CONSTRAINT = TG_NAME;
END
$function$;

CREATE EXTENSION pg_trgm;

CREATE ROLE booking_svc LOGIN;
ALTER ROLE booking_svc SET default_transaction_isolation=read committed;
ALTER ROLE booking_svc SET enable_bitmapscan=off;
ALTER ROLE booking_svc SET enable_hashjoin=off;
ALTER ROLE booking_svc SET enable_mergejoin=off;
ALTER ROLE booking_svc SET enable_seqscan=off;
ALTER ROLE booking_svc SET idle_in_transaction_session_timeout=3s;
ALTER ROLE booking_svc SET jit=off;
ALTER ROLE booking_svc SET lock_timeout=3s;
ALTER ROLE booking_svc SET plan_cache_mode=force_generic_plan;
ALTER ROLE booking_svc SET statement_timeout=10s;
ALTER ROLE booking_svc SET tcp_keepalives_count=3;
ALTER ROLE booking_svc SET tcp_keepalives_idle=1;
ALTER ROLE booking_svc SET tcp_keepalives_interval=1;
ALTER ROLE booking_svc SET tcp_user_timeout=3s;

CREATE ROLE catalog_svc LOGIN;
ALTER ROLE catalog_svc SET default_transaction_isolation=read committed;
ALTER ROLE catalog_svc SET idle_in_transaction_session_timeout=3s;
ALTER ROLE catalog_svc SET lock_timeout=3s;
ALTER ROLE catalog_svc SET plan_cache_mode=force_custom_plan;
ALTER ROLE catalog_svc SET statement_timeout=10s;
ALTER ROLE catalog_svc SET tcp_keepalives_count=3;
ALTER ROLE catalog_svc SET tcp_keepalives_idle=1;
ALTER ROLE catalog_svc SET tcp_keepalives_interval=1;
ALTER ROLE catalog_svc SET tcp_user_timeout=3s;

CREATE ROLE expiry_worker LOGIN;
ALTER ROLE expiry_worker SET default_transaction_isolation=read committed;
ALTER ROLE expiry_worker SET enable_bitmapscan=off;
ALTER ROLE expiry_worker SET enable_hashjoin=off;
ALTER ROLE expiry_worker SET enable_mergejoin=off;
ALTER ROLE expiry_worker SET enable_seqscan=off;
ALTER ROLE expiry_worker SET idle_in_transaction_session_timeout=3s;
ALTER ROLE expiry_worker SET jit=off;
ALTER ROLE expiry_worker SET lock_timeout=3s;
ALTER ROLE expiry_worker SET plan_cache_mode=force_generic_plan;
ALTER ROLE expiry_worker SET statement_timeout=10s;
ALTER ROLE expiry_worker SET tcp_keepalives_count=3;
ALTER ROLE expiry_worker SET tcp_keepalives_idle=1;
ALTER ROLE expiry_worker SET tcp_keepalives_interval=1;
ALTER ROLE expiry_worker SET tcp_user_timeout=3s;
