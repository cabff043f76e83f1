-- Gives a row only if the revision was news: whether it was the first of its show.
INSERT INTO booking.sales AS s (show_id, revision, state, start_at, layout, seat_count)
VALUES ($1, $2, ($3::text)::booking.sale_state, $4, ($5::text)::jsonb, $6)
ON CONFLICT (show_id) DO UPDATE
SET
    revision = excluded.revision,
    state = excluded.state,
    start_at = excluded.start_at,
    layout = excluded.layout,
    wound_up_at = CASE excluded.state WHEN 'CANCELLED' THEN s.wound_up_at END
WHERE s.revision < excluded.revision AND s.seat_count = excluded.seat_count
RETURNING s.xmax = 0 AS inserted
