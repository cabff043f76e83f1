-- The status of seats, by their positions. $2 to $4: runs of ordinals from a first to a last,
-- and the position of the first. OFFSET 0 keeps the planner from reading the whole show first.
SELECT position, status
FROM (
    SELECT
        run.first_position + s.ordinal - run.first_ordinal AS position,
        CASE b.state WHEN 'PENDING' THEN 'HELD' WHEN 'CONFIRMED' THEN 'BOOKED' ELSE 'AVAILABLE' END AS status
    FROM unnest($2::integer[], $3::integer[], $4::integer[])
        AS run (first_ordinal, last_ordinal, first_position)
    CROSS JOIN LATERAL (
        SELECT show_id, ordinal, booking_id
        FROM booking.show_seats
        WHERE show_id = $1 AND ordinal BETWEEN run.first_ordinal AND run.last_ordinal
        OFFSET 0
    ) AS s
    LEFT JOIN booking.bookings_now AS b ON b.show_id = ANY (ARRAY[s.show_id]) AND b.booking_id = s.booking_id
) AS seats
WHERE $5::text IS NULL OR status = $5
ORDER BY position
