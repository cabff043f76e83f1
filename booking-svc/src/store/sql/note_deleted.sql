INSERT INTO booking.deleted_shows (show_id, revision)
SELECT $1, $2
WHERE NOT EXISTS (SELECT FROM booking.sales AS s WHERE s.show_id = $1)
ON CONFLICT (show_id) DO UPDATE SET revision = greatest(deleted_shows.revision, excluded.revision)
