-- An index for each way to look for shows.

-- Comes with PostgreSQL's contrib modules. It is trusted: the database's owner may create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

-- Each is in the order of lists, so that a page ends where its last row stands.
CREATE INDEX shows_by_type ON catalog.shows (show_type, start_at, show_id)
    WHERE deleted_at IS NULL;
CREATE INDEX shows_by_state ON catalog.shows (state, start_at, show_id)
    WHERE deleted_at IS NULL;
CREATE INDEX shows_by_venue ON catalog.shows (venue, start_at, show_id)
    WHERE deleted_at IS NULL;

-- Shows are written seldom and looked for often: no list of new entries, which every search
-- would have to read through.
CREATE INDEX shows_by_name ON catalog.shows USING gin (name public.gin_trgm_ops)
    WITH (fastupdate = off)
    WHERE deleted_at IS NULL;

-- One statement lists shows by any filters. It is planned for those that a call has set, and
-- not once for all of them.
ALTER ROLE catalog_svc SET plan_cache_mode = 'force_custom_plan';
