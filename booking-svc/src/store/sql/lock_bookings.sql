-- Appended to SELECT and booking_columns.sql.
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, booking_id)
JOIN booking.bookings AS b
    ON b.show_id = ANY (ARRAY[wanted.show_id]) AND b.booking_id = wanted.booking_id
ORDER BY wanted.show_id, wanted.booking_id
FOR UPDATE OF b
