-- Schema booking, first part: what booking-svc knows of a show. It sells from its own records,
-- called sales, which it copies from the catalog's feed.
--
-- show_id leads every key of this schema but those of customers, so that the schema can be
-- distributed by show (docs/adr/0002-nested-ids.md).

CREATE SCHEMA booking;
COMMENT ON SCHEMA booking IS
    'Sales, seats, bookings and their log, customers, payments. Owned by booking-svc; '
    'expiry-worker fails expired holds in it.';


-- Sales

-- The order of the values means nothing.
CREATE TYPE booking.sale_state AS ENUM ('ON_SALE', 'CANCELLED', 'DRAFT', 'PAUSED', 'CLOSED');
COMMENT ON TYPE booking.sale_state IS 'The show''s state in the catalog, as catalog.show_state.';

CREATE TYPE booking.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');
COMMENT ON TYPE booking.orphan_rule IS 'As catalog.orphan_rule.';

CREATE TABLE booking.sales (
    show_id                 uuid PRIMARY KEY,
    revision                bigint NOT NULL CHECK (revision > 0),
    state                   booking.sale_state NOT NULL,
    start_at                timestamptz NOT NULL,
    sales_open_at           timestamptz,
    sales_close_at          timestamptz,
    layout                  jsonb NOT NULL,
    numbering               jsonb NOT NULL DEFAULT 'null',
    -- 0: a show may have areas alone. No upper limit here: over its life a show may use more
    -- ordinals than a layout has seats (ORDINALS_MAX in the crate model).
    seat_count              integer NOT NULL CHECK (seat_count >= 0),
    prices                  jsonb NOT NULL,
    hold_ms                 integer CHECK (hold_ms BETWEEN 10000 AND 1800000),
    seats_per_booking_max   integer CHECK (seats_per_booking_max BETWEEN 1 AND 100),
    places_per_customer_max integer CHECK (places_per_customer_max BETWEEN 1 AND 10000),
    orphan_rule             booking.orphan_rule NOT NULL DEFAULT 'OFF',
    proposal                bigint CHECK (proposal > 0),
    withdrawn               integer[] NOT NULL DEFAULT '{}',
    off_sale                boolean NOT NULL DEFAULT false,
    fully_cancelled_at             timestamptz,
    -- Only an answered proposal takes something off sale.
    CONSTRAINT withdrawn_by_a_proposal CHECK (
        proposal IS NOT NULL OR (NOT off_sale AND cardinality(withdrawn) = 0)
    ),
    CONSTRAINT cancelled_before_fully_cancelled CHECK (fully_cancelled_at IS NULL OR state = 'CANCELLED')
) WITH (fillfactor = 90);

COMMENT ON TABLE booking.sales IS
    'booking-svc''s own record that a show can be booked: a copy of the show at one revision. '
    'Every batch locks it in shared mode; applying a snapshot locks it exclusively.';
COMMENT ON COLUMN booking.sales.revision IS
    'The catalog''s revision that this is a copy of, plus 2^40 for each earlier epoch of the feed '
    'cursor: what a catalog says that was accepted later is newer, whatever its revision. Never '
    'goes back.';
COMMENT ON COLUMN booking.sales.sales_open_at IS
    'When a DRAFT goes on sale by itself; null: it does not.';
COMMENT ON COLUMN booking.sales.sales_close_at IS
    'When the sale ends by itself; null: when the show starts.';
COMMENT ON COLUMN booking.sales.layout IS 'Sections, rows, seats and areas; see the crate model.';
COMMENT ON COLUMN booking.sales.numbering IS
    'Which ordinal each seat of the layout has, and the names of the seats that the layout has '
    'dropped. JSON null: a seat''s ordinal is its position in the layout.';
COMMENT ON COLUMN booking.sales.seat_count IS
    'How many ordinals the show has ever given out; each has a row in show_seats.';
COMMENT ON COLUMN booking.sales.prices IS
    'The currency, and the price tiers with the sections, rows, seats and areas of each.';
COMMENT ON COLUMN booking.sales.hold_ms IS
    'How long a reservation that does not say so holds its seats, in milliseconds; null: as the '
    'service is set.';
COMMENT ON COLUMN booking.sales.seats_per_booking_max IS
    'The most seats and places of one booking; null: as the service is set.';
COMMENT ON COLUMN booking.sales.places_per_customer_max IS
    'The quota: the most seats and places of one customer''s live bookings; null: no limit.';
COMMENT ON COLUMN booking.sales.proposal IS
    'The catalog''s revision of a proposal that is answered here and not yet decided there.';
COMMENT ON COLUMN booking.sales.withdrawn IS
    'The ordinals of the seats that are off sale because that proposal drops them.';
COMMENT ON COLUMN booking.sales.off_sale IS
    'Whether the show is off sale because that proposal deletes it.';
COMMENT ON COLUMN booking.sales.fully_cancelled_at IS
    'When the cancelled-shows worker found no live booking of the cancelled show any more.';

CREATE INDEX sales_not_fully_cancelled ON booking.sales (show_id)
    WHERE state = 'CANCELLED' AND fully_cancelled_at IS NULL;
COMMENT ON INDEX booking.sales_not_fully_cancelled IS 'For the cancelled-shows worker.';

-- The other half of a foreign key from show_seats to sales; see sales_exist there.
CREATE FUNCTION booking.sales_stay() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM booking.show_seats AS s WHERE s.show_id = OLD.show_id) THEN
        RAISE EXCEPTION 'sale % has seats', OLD.show_id
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'sales',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;
COMMENT ON FUNCTION booking.sales_stay() IS
    'A sale stays, under its id, as long as it has seats; a seat never changes its show.';

CREATE TRIGGER sales_stay BEFORE DELETE OR UPDATE OF show_id ON booking.sales
    FOR EACH ROW EXECUTE FUNCTION booking.sales_stay();


-- Following the feed

CREATE TABLE booking.feed_cursor (
    singleton             boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    revision              bigint NOT NULL DEFAULT 0 CHECK (revision >= 0),
    installation_id       uuid,
    timeline_id           uuid,
    -- 2^22 - 1: so many times 2^40, and a revision more, fit into sales.revision.
    epoch                 bigint NOT NULL DEFAULT 0 CHECK (epoch BETWEEN 0 AND 4194303),
    found_installation_id uuid,
    found_revision        bigint,
    found_at              timestamptz,
    CONSTRAINT found_as_a_whole CHECK (
        (found_installation_id IS NULL) = (found_at IS NULL)
        AND (found_revision IS NULL) = (found_at IS NULL)
    )
);

COMMENT ON TABLE booking.feed_cursor IS
    'One row: up to where the catalog''s feed has been applied, and whose feed it is. Applying a '
    'snapshot locks it before anything else.';
COMMENT ON COLUMN booking.feed_cursor.revision IS 'Everything up to it has been applied.';
COMMENT ON COLUMN booking.feed_cursor.installation_id IS
    'The catalog that is followed; null until it first answers.';
COMMENT ON COLUMN booking.feed_cursor.timeline_id IS
    'The timeline that the revision belongs to; null until the catalog first answers.';
COMMENT ON COLUMN booking.feed_cursor.epoch IS
    'How often another catalog, or a restored one, has been accepted in place of the one before. '
    'See sales.revision.';
COMMENT ON COLUMN booking.feed_cursor.found_installation_id IS
    'A catalog that booking-svc has found and does not follow, because it is another one, or has '
    'lost what was followed: what `migrate accept-catalog` would have it follow. Null if none.';
COMMENT ON COLUMN booking.feed_cursor.found_revision IS 'Its newest revision when it was found.';
COMMENT ON COLUMN booking.feed_cursor.found_at IS 'When it was found.';

INSERT INTO booking.feed_cursor DEFAULT VALUES;

CREATE TABLE booking.deleted_shows (
    show_id  uuid PRIMARY KEY,
    revision bigint NOT NULL CHECK (revision > 0)
);

COMMENT ON TABLE booking.deleted_shows IS
    'Shows that the catalog deleted before they had a sale. A reserve that read such a show from '
    'the catalog before its deletion, and inserts the sale after it, finds the row and stops.';
COMMENT ON COLUMN booking.deleted_shows.revision IS
    'The catalog''s revision that deleted it; as sales.revision.';

CREATE TABLE booking.answers (
    show_id      uuid PRIMARY KEY REFERENCES booking.sales,
    proposal     bigint NOT NULL CHECK (proposal > 0),
    accepted     boolean NOT NULL,
    -- 100: the most that an error names.
    booked_seats text[] NOT NULL CHECK (cardinality(booked_seats) <= 100),
    CONSTRAINT accepted_without_bookings CHECK (NOT accepted OR cardinality(booked_seats) = 0)
);

COMMENT ON TABLE booking.answers IS
    'Answers to proposals that the catalog does not have yet: an outbox. Each is written in the '
    'transaction that makes it true; the answer relay sends it, and deletes it when the catalog '
    'has it.';
COMMENT ON COLUMN booking.answers.proposal IS 'The catalog''s revision that made the proposal.';
COMMENT ON COLUMN booking.answers.booked_seats IS
    'Why it was refused: the labels of seats that have live bookings, or the areas; 100 at most.';
