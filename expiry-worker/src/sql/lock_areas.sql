-- The areas of which bookings that are locked have places, in the order in which everyone locks.
SELECT
FROM (
    SELECT DISTINCT b.show_id, line.area
    FROM unnest($1::uuid[], $2::uuid[]) AS stale (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[stale.show_id]) AND b.booking_id = stale.booking_id
    CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text)
) AS touched
JOIN booking.show_areas AS a
    ON a.show_id = ANY (ARRAY[touched.show_id]) AND a.area = touched.area
ORDER BY a.show_id, a.area
FOR UPDATE OF a
