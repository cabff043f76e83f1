-- Writes whatever stands there, so that the row is locked.
UPDATE booking.feed_cursor SET revision = greatest(revision, $1)
