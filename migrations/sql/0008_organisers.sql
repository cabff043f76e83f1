-- Who organises a show. A show of an earlier release has no organiser.

-- A constant default, so the table is not rewritten.
ALTER TABLE catalog.shows ADD COLUMN organiser text NOT NULL DEFAULT ''
    CHECK (organiser ~ '^[A-Za-z0-9._-]{0,64}$');
COMMENT ON COLUMN catalog.shows.organiser IS
    'Who organises it; empty if nobody is named. Never changed after the show is created.';
