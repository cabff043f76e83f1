-- A filter that is not set is gone once the statement is planned: each call's is planned for
-- the filters it has (plan_cache_mode of our role), and takes the index that serves them best.
SELECT show_id, revision, name, show_type::text AS "show_type!", state::text AS "state!",
       start_at, end_at, venue, layout_id, seat_count, place_count, time_zone, sales_open_at,
       sales_close_at, hold_ms, seats_per_booking_max, places_per_customer_max,
       orphan_rule::text AS "orphan_rule!", offered, proposal_revision, proposal_state::text,
       created_at, updated_at, cancelled_at, NULL::jsonb AS "prices?: Json<PriceDescription>"
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
