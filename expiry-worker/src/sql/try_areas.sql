-- Locks the free ones of the areas in which locked bookings have places; returns the
-- bookings with places in an area that is not free.
WITH wanted AS MATERIALIZED (
    SELECT b.show_id, b.booking_id, line.area
    FROM unnest($1::uuid[], $2::uuid[]) AS stale (show_id, booking_id)
    JOIN booking.bookings AS b
        ON b.show_id = ANY (ARRAY[stale.show_id]) AND b.booking_id = stale.booking_id
    CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text)
), had AS MATERIALIZED (
    SELECT a.show_id, a.area
    FROM (SELECT DISTINCT show_id, area FROM wanted) AS touched
    JOIN booking.show_areas AS a
        ON a.show_id = ANY (ARRAY[touched.show_id]) AND a.area = touched.area
    FOR UPDATE OF a SKIP LOCKED
)
SELECT DISTINCT wanted.booking_id
FROM wanted
WHERE (SELECT count(*) FROM had WHERE had.show_id = wanted.show_id AND had.area = wanted.area) = 0
