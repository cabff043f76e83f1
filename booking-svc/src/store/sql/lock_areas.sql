-- $1, $2: areas of which places are wanted. $3, $4: bookings, locked before, whose places may be
-- given back. MATERIALIZED for the reason given in lock_seats.sql.
WITH touched (show_id, area) AS MATERIALIZED (
    SELECT wanted.show_id, wanted.area
    FROM unnest($1::uuid[], $2::text[]) AS wanted (show_id, area)
    UNION
    SELECT b.show_id, line.area
    FROM unnest($3::uuid[], $4::uuid[]) AS freed (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[freed.show_id]) AND b.booking_id = freed.booking_id
    CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text)
)
SELECT a.show_id, a.area, a.capacity, a.taken
FROM touched
JOIN booking.show_areas AS a
    ON a.show_id = ANY (ARRAY[touched.show_id]) AND a.area = touched.area
ORDER BY a.show_id, a.area
FOR UPDATE OF a
