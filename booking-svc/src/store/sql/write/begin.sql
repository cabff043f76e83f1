-- Everything that a batch writes is one statement: each statement has a fixed cost per batch.
-- `write_statements.rs` assembles it from the files beside this one: begin.sql; what the batch needs
-- of new.sql, changed.sql, areas.sql and seats.sql; then log.sql, and end.sql.
--
-- $1: new bookings. No other order of the same batch can name them, so they are as they were made.
-- $2: changed bookings, by the version that was locked, and the end of their holds.
-- $3: seats that have changed hands, by the owner that was locked.
-- $4: the log. $7: the time of the write. $9, $10: the shows and the request ids of the log.
-- $12: who did each entry of the log, or one for all of them.
-- $5: sales that were not locked before, by the expected revision, or by any if it is null, and until
--     when the expectation holds. Every row is compared with what was locked or expected, so that it
--     does not matter which. Expected writes happen at the moment of the comparison, a little
--     later than $7; but not if the statement was sent long ago.
-- $6: areas that were not locked before, in the order of locks, and how many more places of each
--     are taken. The number taken before does not matter, as long as enough are left.
--     They can be counted last, when all else has been written: a contended counter is then
--     locked only for that and the COMMIT. But then the write is older than that
--     lock, which is correct only if no place was given back in between: see given_back.
-- $8: the keys of the callers' request ids, if they were not locked before, in ascending order; see
--     lock_sales.sql. $11: how long to wait for a lock, set before the first is taken.
-- Each is an array of rows rather than one array per column: expanding several arrays into rows
-- costs a batch more, whatever its size.
WITH moment AS MATERIALIZED (
    SELECT CASE
        WHEN set_config('lock_timeout', $11::text, true) IS NULL THEN NULL
        WHEN (SELECT count(pg_advisory_xact_lock(1, key)) FROM unnest($8::integer[]) AS keys (key)) = 0
            THEN interval '0'
        ELSE greatest(clock_timestamp() - $7::timestamptz, interval '0')
    END AS later
), made AS MATERIALIZED (
    SELECT CASE
        WHEN cardinality($5::booking.expected_sale[]) = 0 THEN interval '0'
        ELSE greatest(clock_timestamp() - $7::timestamptz, interval '0')
    END AS later
), sold AS (
    SELECT expected.until
    FROM unnest($5::booking.expected_sale[]) AS expected
    JOIN booking.sales AS s ON s.show_id = ANY (ARRAY[expected.show_id])
    WHERE s.revision = coalesce(expected.revision, s.revision) AND s.state <> 'CANCELLED'
        AND (SELECT later FROM moment) < interval '5 s'
    ORDER BY expected.show_id
    FOR KEY SHARE OF s
)
