-- Whose feed it is, and whether it still has the history that a reader has followed.

-- The installation tells one catalog from every other; a copy of its database has the same one.
-- `server_run` is the run of the database server that wrote last, `timeline_id` the timeline that
-- the newest revision belongs to.
ALTER TABLE catalog.feed
    ADD COLUMN installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN timeline_id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN server_run text NOT NULL DEFAULT '';

-- A timeline has the revisions after `begins_after`, up to where the next one begins. A database
-- that was restored, or promoted without its last transactions, writes other shows under revisions
-- that it has handed out before; but on another timeline.
CREATE TABLE catalog.timelines (
    timeline_id  uuid PRIMARY KEY,
    begins_after bigint NOT NULL UNIQUE CHECK (begins_after >= -1)
);

-- The first has all that was written until now.
INSERT INTO catalog.timelines (timeline_id, begins_after)
SELECT timeline_id, -1 FROM catalog.feed;

-- No run of a server begins in the same microsecond as another; a restore into a server that runs
-- makes the database or the table anew.
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

CREATE TRIGGER begin_timeline BEFORE UPDATE ON catalog.feed
FOR EACH ROW WHEN (NEW.revision > OLD.revision) EXECUTE FUNCTION catalog.begin_timeline();

GRANT SELECT, INSERT ON catalog.timelines TO catalog_svc;

-- The catalog that is followed, and the timeline of the revision that it was followed up to; not
-- known until it first answers. Whoever accepts another catalog, or one that was restored, begins
-- the next epoch: see sales.revision.
ALTER TABLE booking.feed_cursor
    ADD COLUMN installation_id uuid,
    ADD COLUMN timeline_id uuid,
    ADD COLUMN epoch bigint NOT NULL DEFAULT 0 CHECK (epoch BETWEEN 0 AND 4194303);

COMMENT ON COLUMN booking.sales.revision IS
    'The catalog''s revision that this is a copy of, and 2^40 for each epoch of the feed''s cursor '
    'before: what a catalog says that was accepted later is newer whatever its revision.';
COMMENT ON COLUMN booking.deleted_shows.revision IS 'As sales.revision.';
