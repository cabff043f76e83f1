-- Layouts as things of their own, prices beside them, and the life of a show.

CREATE TYPE catalog.orphan_rule AS ENUM ('OFF', 'WARN', 'STRICT');
CREATE TYPE catalog.proposal_kind AS ENUM ('LAYOUT', 'DELETION');
CREATE TYPE catalog.proposal_state AS ENUM ('PENDING', 'ACCEPTED', 'REFUSED', 'DROPPED');

-- Never changed; a deleted one stays for the shows that are deleted too, and for repeated calls.
CREATE TABLE catalog.layouts (
    layout_id    uuid PRIMARY KEY,
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    -- No foreign key: what it tells stays true when the older layout is deleted.
    derived_from uuid,
    -- Sections, areas and marks as they were described; see the model crate.
    description  jsonb NOT NULL,
    seat_count   integer NOT NULL CHECK (seat_count BETWEEN 0 AND 100000),
    place_count  integer NOT NULL CHECK (place_count BETWEEN 0 AND 100000000),
    -- Not so if it was described for one show.
    listed       boolean NOT NULL,
    created_at   timestamptz NOT NULL,
    deleted_at   timestamptz CHECK (deleted_at >= created_at),
    CONSTRAINT room_for_somebody CHECK (seat_count + place_count > 0)
);

CREATE INDEX layouts_by_name ON catalog.layouts (name, layout_id)
    WHERE listed AND deleted_at IS NULL;
CREATE INDEX layouts_by_origin ON catalog.layouts (derived_from, name, layout_id)
    WHERE listed AND deleted_at IS NULL AND derived_from IS NOT NULL;

ALTER TABLE catalog.shows
    -- Each show that exists gets a layout of its own.
    ADD COLUMN layout_id uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Tiers and what each is the price of; see the model crate.
    ADD COLUMN prices jsonb,
    ADD COLUMN place_count integer NOT NULL DEFAULT 0,
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN sales_open_at timestamptz,
    ADD COLUMN sales_close_at timestamptz,
    ADD COLUMN hold_ms integer,
    ADD COLUMN seats_per_booking_max integer,
    ADD COLUMN places_per_customer_max integer,
    ADD COLUMN orphan_rule catalog.orphan_rule NOT NULL DEFAULT 'OFF',
    -- Whether the booking service was ever told that, or from when on, it may sell.
    ADD COLUMN offered boolean NOT NULL DEFAULT true,
    -- The proposal that waits for an answer, or was refused last.
    ADD COLUMN proposal_revision bigint,
    ADD COLUMN proposal_state catalog.proposal_state;

-- A row was a count or a list of labels, and its section had one price. Every label stays.
INSERT INTO catalog.layouts (layout_id, name, description, seat_count, place_count, listed, created_at)
SELECT layout_id, name, jsonb_build_object('sections', sections), seat_count, 0, false, created_at
FROM catalog.shows
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object('name', section -> 'name', 'rows', blocks) ORDER BY s)
        AS sections
    FROM jsonb_array_elements(layout -> 'sections') WITH ORDINALITY AS described (section, s)
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(
            -- Names are unique in their section now; those of labelled rows were not.
            CASE WHEN name <> '' AND (counted OR same_name = 1)
                THEN jsonb_build_object('names', jsonb_build_object('list', jsonb_build_array(name)))
                ELSE '{}'
            END || CASE WHEN counted
                THEN jsonb_build_object('runs', jsonb_build_array(jsonb_build_object(
                    'numbers', jsonb_build_object('first', 1, 'last', seats))))
                ELSE jsonb_build_object('label_format', '{seat}', 'runs', jsonb_build_array(
                    jsonb_build_object('list', seats)))
            END ORDER BY r) AS blocks
        FROM (
            SELECT r, coalesce(row ->> 'name', '') AS name, row -> 'seats' AS seats,
                   jsonb_typeof(row -> 'seats') = 'number' AS counted,
                   count(*) OVER (PARTITION BY coalesce(row ->> 'name', '')) AS same_name
            FROM jsonb_array_elements(section -> 'rows') WITH ORDINALITY AS described (row, r)
        ) AS rows
    ) AS blocks
) AS sections;

UPDATE catalog.shows
SET prices = jsonb_build_object('currency', layout -> 'currency', 'tiers', (
    SELECT jsonb_agg(jsonb_build_object(
        'name', section -> 'name', 'price', section -> 'price',
        'sections', jsonb_build_array(section -> 'name')) ORDER BY s)
    FROM jsonb_array_elements(layout -> 'sections') WITH ORDINALITY AS described (section, s)
));

-- What a repeated call returns.
UPDATE catalog.requests
SET result = result || jsonb_build_object('layout_id', shows.layout_id, 'prices', shows.prices)
FROM catalog.shows WHERE shows.show_id = (result ->> 'show_id')::uuid;

ALTER TABLE catalog.shows
    DROP COLUMN layout,
    DROP CONSTRAINT shows_check3, -- only a cancelled show could be deleted
    DROP CONSTRAINT shows_seat_count_check,
    ALTER COLUMN layout_id DROP DEFAULT,
    ALTER COLUMN prices SET NOT NULL,
    ALTER COLUMN place_count DROP DEFAULT,
    ALTER COLUMN time_zone DROP DEFAULT,
    ALTER COLUMN orphan_rule DROP DEFAULT,
    ALTER COLUMN offered DROP DEFAULT,
    ADD FOREIGN KEY (layout_id) REFERENCES catalog.layouts,
    ADD CHECK (seat_count BETWEEN 0 AND 100000),
    ADD CHECK (place_count BETWEEN 0 AND 100000000),
    ADD CONSTRAINT room_for_somebody CHECK (seat_count + place_count > 0),
    ADD CHECK (char_length(time_zone) BETWEEN 1 AND 64),
    ADD CHECK (hold_ms BETWEEN 10000 AND 1800000),
    ADD CHECK (seats_per_booking_max BETWEEN 1 AND 100),
    ADD CHECK (places_per_customer_max BETWEEN 1 AND 10000),
    ADD CONSTRAINT close_after_open CHECK (sales_close_at > sales_open_at),
    ADD CONSTRAINT open_before_the_sale_ends CHECK (
        sales_close_at IS NOT NULL OR sales_open_at < start_at
    ),
    ADD CONSTRAINT close_while_it_lasts CHECK (sales_close_at <= coalesce(end_at, start_at)),
    ADD CONSTRAINT offered_once_on_sale CHECK (
        offered OR (state IN ('DRAFT', 'CANCELLED') AND sales_open_at IS NULL)
    ),
    -- When the state changes by itself: the publishing and the closing that are due are in one
    -- index.
    ADD COLUMN due_at timestamptz GENERATED ALWAYS AS (
        CASE
            WHEN deleted_at IS NOT NULL THEN NULL
            WHEN state = 'DRAFT' THEN sales_open_at
            WHEN state IN ('ON_SALE', 'PAUSED') THEN sales_close_at
        END
    ) STORED;

CREATE INDEX shows_by_due ON catalog.shows (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX shows_by_layout ON catalog.shows (layout_id) WHERE deleted_at IS NULL;

-- Changes that must not hurt a booking, and what the booking service said to them.
CREATE TABLE catalog.proposals (
    show_id      uuid NOT NULL REFERENCES catalog.shows,
    -- The show's revision that made it.
    revision     bigint NOT NULL CHECK (revision > 0),
    kind         catalog.proposal_kind NOT NULL,
    state        catalog.proposal_state NOT NULL,
    layout_id    uuid REFERENCES catalog.layouts,
    -- The show's prices under that layout.
    prices       jsonb,
    -- If it was refused for seats with live bookings: their labels.
    booked_seats text[] NOT NULL CHECK (cardinality(booked_seats) <= 100),
    -- The call that made it, if it had an id: it waits for the answer.
    request_id   uuid,
    made_at      timestamptz NOT NULL,
    answered_at  timestamptz CHECK (answered_at >= made_at),
    PRIMARY KEY (show_id, revision),
    CONSTRAINT layout_and_prices CHECK (
        num_nonnulls(layout_id, prices) = CASE kind WHEN 'LAYOUT' THEN 2 ELSE 0 END
    ),
    CONSTRAINT pending_until_answered CHECK ((state = 'PENDING') = (answered_at IS NULL)),
    CONSTRAINT booked_if_refused CHECK (state = 'REFUSED' OR booked_seats = '{}')
);

CREATE UNIQUE INDEX one_pending_proposal ON catalog.proposals (show_id) WHERE state = 'PENDING';
CREATE INDEX proposals_by_layout ON catalog.proposals (layout_id) WHERE state = 'PENDING';

ALTER TABLE catalog.shows
    -- The revision of the show is known when the show is written; the proposal follows.
    ADD FOREIGN KEY (show_id, proposal_revision) REFERENCES catalog.proposals
        DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT proposal_pending_or_refused CHECK (
        (proposal_revision IS NULL) = (proposal_state IS NULL)
        AND proposal_state IN ('PENDING', 'REFUSED')
    );

GRANT SELECT, INSERT ON catalog.layouts TO catalog_svc;
GRANT UPDATE (deleted_at) ON catalog.layouts TO catalog_svc;
GRANT SELECT, INSERT ON catalog.proposals TO catalog_svc;
GRANT UPDATE (state, booked_seats, answered_at) ON catalog.proposals TO catalog_svc;
