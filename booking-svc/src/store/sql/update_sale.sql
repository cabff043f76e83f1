-- $15: the proposal that waits for an answer, if any. Seats that were taken off sale for another
-- proposal are on sale again.
UPDATE booking.sales AS s
SET
    revision = $2,
    state = ($3::text)::booking.sale_state,
    start_at = $4,
    sales_open_at = $5,
    sales_close_at = $6,
    hold_ms = $7,
    seats_per_booking_max = $8,
    places_per_customer_max = $9,
    orphan_rule = ($10::text)::booking.orphan_rule,
    layout = ($11::text)::jsonb,
    numbering = ($12::text)::jsonb,
    prices = ($13::text)::jsonb,
    seat_count = $14,
    fully_cancelled_at = CASE $3 WHEN 'CANCELLED' THEN s.fully_cancelled_at END,
    proposal = CASE WHEN s.proposal = $15 THEN s.proposal END,
    withdrawn = CASE WHEN s.proposal = $15 THEN s.withdrawn ELSE '{}' END,
    off_sale = s.off_sale AND (s.proposal = $15) IS TRUE
WHERE show_id = $1
