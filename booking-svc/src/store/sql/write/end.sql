    booking.expect_rows(
        'sales expected',
        (
            SELECT count(*) FROM sold
            -- What is new is made before it closes, and counted.
            WHERE greatest($7::timestamptz + (SELECT later FROM made), clock_timestamp())
                < coalesce(until, 'infinity')
        ),
        cardinality($5)
    ),
    $7::timestamptz + (SELECT later FROM moment) AS moment,
    $7::timestamptz + (SELECT later FROM made) AS made,
    clock_timestamp() AS clock
