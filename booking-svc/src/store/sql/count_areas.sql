-- Areas of which places were taken or given back, by the number that was read under their locks.
WITH counted AS (
    UPDATE booking.show_areas AS a
    SET taken = new.taken
    FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::integer[])
        AS new (show_id, area, prior_taken, taken)
    WHERE a.show_id = ANY (ARRAY[new.show_id]) AND a.area = new.area AND a.taken = new.prior_taken
    RETURNING 1
)
SELECT booking.expect_rows('areas counted', (SELECT count(*) FROM counted), cardinality($2))
