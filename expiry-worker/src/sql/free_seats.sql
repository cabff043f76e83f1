WITH freed AS (
    UPDATE booking.show_seats AS s
    SET booking_id = NULL
    FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS held (show_id, ordinal, booking_id)
    WHERE s.show_id = ANY (ARRAY[held.show_id]) AND s.ordinal = held.ordinal AND s.booking_id = held.booking_id
    RETURNING 1
)
SELECT booking.expect_rows('free_seats', (SELECT count(*) FROM freed), cardinality($2))
