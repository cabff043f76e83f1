SELECT
    revision,
    state::text,
    start_at,
    sales_open_at,
    sales_close_at,
    hold_ms,
    seats_per_booking_max,
    places_per_customer_max,
    orphan_rule::text,
    layout::text,
    numbering::text,
    prices::text,
    withdrawn,
    off_sale
FROM booking.sales
WHERE show_id = $1
