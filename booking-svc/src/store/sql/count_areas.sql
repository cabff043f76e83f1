-- Areas of which places were taken or given back, by the number that was read under their locks.
-- given_back grows automatically if fewer are taken than before: here it is set if places were given
-- back although no fewer are taken. See write/, where areas are counted last.
WITH counted AS (
    UPDATE booking.show_areas AS a
    SET taken = new.taken, given_back = a.given_back + new.gives_back::integer
    FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::boolean[])
        AS new (show_id, area, prior_taken, taken, gives_back)
    WHERE a.show_id = ANY (ARRAY[new.show_id]) AND a.area = new.area AND a.taken = new.prior_taken
    RETURNING 1
)
SELECT booking.expect_rows('areas counted', (SELECT count(*) FROM counted), cardinality($2))
