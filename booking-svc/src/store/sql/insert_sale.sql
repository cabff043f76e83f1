-- Returns a row, unless another transaction was faster, or the show has been deleted.
INSERT INTO booking.sales (
    show_id, revision, state, start_at, sales_open_at, sales_close_at, hold_ms,
    seats_per_booking_max, places_per_customer_max, orphan_rule, layout, numbering, prices, seat_count
)
SELECT
    $1, $2, ($3::text)::booking.sale_state, $4, $5, $6, $7,
    $8, $9, ($10::text)::booking.orphan_rule, ($11::text)::jsonb, ($12::text)::jsonb, ($13::text)::jsonb, $14
WHERE NOT EXISTS (SELECT FROM booking.deleted_shows AS d WHERE d.show_id = $1 AND d.revision > $2)
ON CONFLICT (show_id) DO NOTHING
RETURNING 1
