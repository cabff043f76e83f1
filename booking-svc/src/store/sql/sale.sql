SELECT revision, state::text, start_at, layout::text
FROM booking.sales
WHERE show_id = $1
