-- Each area of a show: its name, and how many places are for sale or sold, held, booked. Expired
-- holds count as none, even if their rows do not say so yet.
SELECT
    a.area,
    a.capacity::bigint,
    coalesce(holds.going_on, 0),
    a.taken - coalesce(holds.places, 0)
FROM booking.show_areas AS a
LEFT JOIN (
    SELECT
        line.area,
        sum(line.quantity) AS places,
        sum(line.quantity) FILTER (WHERE b.places_held_until > clock.at) AS going_on
    FROM (SELECT clock_timestamp() AS at) AS clock
    CROSS JOIN booking.bookings AS b
    CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text, quantity integer)
    WHERE b.show_id = $1 AND b.places_held_until > '-infinity'
    GROUP BY line.area
) AS holds ON holds.area = a.area
WHERE a.show_id = $1
ORDER BY a.area
