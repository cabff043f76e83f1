-- Everything that a batch writes is one statement: each statement costs a batch, whatever its size.
-- It is put together out of the files beside this one (`write_statements.rs`): begin.sql, what the
-- batch has to do of new.sql, changed.sql, areas.sql and seats.sql, then log.sql, and end.sql.
--
-- $1: bookings that are new. Nobody can name a booking in the batch that makes it, so they are as
--     they were made.
-- $2: bookings that have changed, by the version that was locked, and the end of their holds.
-- $3: seats that have changed hands, by the owner that was locked.
-- $4: the log. $7: the time of it all. $9, $10: the shows and the request ids of the log.
-- $5: sales that were not locked before, by the revision that is expected, or by any if it is null,
--     and until when it is as expected. Everything here is compared with what was locked or
--     expected, so that it does not matter which. What is expected happens at the moment when it is
--     compared, a little later than $7; but not if it was sent long ago.
-- $6: areas that were not locked before, in the order of locks, and how many places more are taken
--     of each. How many had been does not matter, as long as there are so many left.
--     They can be counted last, when all has been written: a counter that everybody wants is then
--     locked for no longer than that takes, but for the COMMIT. But what is made is older than that
--     lock then, which is in order only if no place was given back between: see given_back.
-- $8: the keys of the callers' request ids, if they were not locked before, in ascending order; see
--     lock_sales.sql. $11: how long it waits for a lock, which is set before the first is taken.
-- Each is an array of rows rather than one for each column: what becomes rows of more than one array
-- is put together out of as many, which costs a batch whatever its size.
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
