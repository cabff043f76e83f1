-- A row for each kind of thing that must never be, with how many there are.
SELECT what || ': ' || count
FROM (
    SELECT 'seats whose owner is not a live booking that lists them' AS what, count(*) AS count
    FROM booking.show_seats AS s
    LEFT JOIN booking.bookings AS b ON b.show_id = s.show_id AND b.booking_id = s.booking_id
    WHERE s.booking_id IS NOT NULL
        AND (b.state IS NULL OR b.state NOT IN ('PENDING', 'CONFIRMED') OR s.ordinal <> ALL (b.seat_ordinals))
    UNION ALL
    SELECT 'seats of live bookings that do not have them', count(*)
    FROM booking.bookings AS b
    CROSS JOIN LATERAL unnest(b.seat_ordinals) AS ordinal
    LEFT JOIN booking.show_seats AS s ON s.show_id = b.show_id AND s.ordinal = ordinal.ordinal
    WHERE b.state IN ('PENDING', 'CONFIRMED') AND s.booking_id IS DISTINCT FROM b.booking_id
    UNION ALL
    SELECT 'bookings whose log does not lead to their state', count(*)
    FROM booking.bookings AS b
    LEFT JOIN booking.transitions AS t
        ON t.show_id = b.show_id AND t.booking_id = b.booking_id AND t.version = b.version
    WHERE t.to_state IS DISTINCT FROM b.state
    UNION ALL
    SELECT 'areas whose counter is not the sum of live bookings, or above the capacity', count(*)
    FROM booking.show_areas AS a
    FULL JOIN (
        SELECT b.show_id, line.area, sum(line.quantity) AS places
        FROM booking.bookings AS b
        CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text, quantity bigint)
        WHERE b.state IN ('PENDING', 'CONFIRMED')
        GROUP BY b.show_id, line.area
    ) AS sold USING (show_id, area)
    WHERE coalesce(a.taken, 0) <> coalesce(sold.places, 0) OR sold.places > coalesce(a.capacity, 0)
) AS broken
WHERE count > 0
