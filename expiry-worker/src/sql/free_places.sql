WITH stale AS (
    SELECT b.show_id, line.area, sum(line.quantity)::integer AS places
    FROM unnest($1::uuid[], $2::uuid[]) AS stale (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[stale.show_id]) AND b.booking_id = stale.booking_id
    CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text, quantity integer)
    GROUP BY b.show_id, line.area
), freed AS (
    UPDATE booking.show_areas AS a
    SET taken = a.taken - stale.places
    FROM stale
    WHERE a.show_id = ANY (ARRAY[stale.show_id]) AND a.area = stale.area
    RETURNING 1
)
SELECT booking.expect_rows('free_places', (SELECT count(*) FROM freed), (SELECT count(*) FROM stale))
