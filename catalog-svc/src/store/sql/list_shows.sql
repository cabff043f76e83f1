-- A filter that is not set is gone once the statement is planned: each call's is planned for
-- the filters it has (plan_cache_mode of our role), and takes the index that serves them best.
SELECT show_id, revision, name, show_type::text AS "show_type!", state::text AS "state!",
       start_at, end_at, venue, seat_count, created_at, updated_at, cancelled_at
FROM catalog.shows
WHERE deleted_at IS NULL
  AND ($1::timestamptz IS NULL OR start_at >= $1)
  AND ($2::timestamptz IS NULL OR start_at < $2)
  AND ($3::timestamptz IS NULL OR (start_at, show_id) > ($3, $4::uuid))
  AND ($5::text IS NULL OR show_type = $5::text::catalog.show_type)
  AND ($6::text IS NULL OR state = $6::text::catalog.show_state)
  AND ($7::text IS NULL OR venue = $7)
  AND ($8::text IS NULL OR name ILIKE $8)
ORDER BY start_at, show_id
LIMIT $9
