WITH updated AS (
    UPDATE booking.show_seats AS s
    SET booking_id = new.booking_id
    FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[])
        AS new (show_id, ordinal, prior_booking_id, booking_id)
    WHERE s.show_id = ANY (ARRAY[new.show_id]) AND s.ordinal = new.ordinal
        AND s.booking_id IS NOT DISTINCT FROM new.prior_booking_id
    RETURNING 1
)
SELECT booking.expect_rows('update_seats', (SELECT count(*) FROM updated), cardinality($2))
