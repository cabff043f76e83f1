-- Several replicas sweep at once, and skip each other's rows and other locked ones.
WITH old AS MATERIALIZED (
    SELECT show_id, request_id
    FROM booking.rejections
    WHERE refused_at < clock_timestamp() - make_interval(hours => $1)
    ORDER BY refused_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
DELETE FROM booking.rejections AS r
USING old
WHERE r.show_id = ANY (ARRAY[old.show_id]) AND r.request_id = old.request_id
