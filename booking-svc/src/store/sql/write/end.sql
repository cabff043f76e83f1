    booking.expect_rows(
        'sales expected',
        (
            SELECT count(*) FROM sold
            -- New bookings are made before the sale closes, the counting of areas included.
            WHERE greatest($7::timestamptz + (SELECT later FROM made), clock_timestamp())
                < coalesce(until, 'infinity')
        ),
        cardinality($5)
    ),
    $7::timestamptz + (SELECT later FROM moment) AS moment,
    $7::timestamptz + (SELECT later FROM made) AS made,
    clock_timestamp() AS clock
