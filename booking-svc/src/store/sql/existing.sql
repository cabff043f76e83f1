-- Which of the sales $1 and of the bookings $2, $3 exist, locked or not. Runs after the statements
-- that skip locked rows.
SELECT s.show_id, NULL::uuid AS booking_id
FROM booking.sales AS s
WHERE s.show_id = ANY ($1::uuid[])
UNION ALL
SELECT b.show_id, b.booking_id
FROM unnest($2::uuid[], $3::uuid[]) AS wanted (show_id, booking_id)
JOIN booking.bookings AS b
    ON b.show_id = ANY (ARRAY[wanted.show_id]) AND b.booking_id = wanted.booking_id
