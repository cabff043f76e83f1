-- Shows that the catalog has deleted before anyone here knew them. Whoever asked the catalog for
-- one while it was there still, and comes to write it down now, finds out.
CREATE TABLE booking.deleted_shows (
    show_id  uuid PRIMARY KEY,
    -- The catalog's revision that deleted it.
    revision bigint NOT NULL CHECK (revision > 0)
);

GRANT SELECT, INSERT ON booking.deleted_shows TO booking_svc;
