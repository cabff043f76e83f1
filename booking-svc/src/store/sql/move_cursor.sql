-- Writes the stored value again, so that the row is locked; but only for the catalog that is still
-- followed.
UPDATE booking.feed_cursor
SET revision = greatest(revision, $1), timeline_id = CASE WHEN $1 >= revision THEN $2 ELSE timeline_id END
WHERE epoch = $3
