-- Several replicas sweep at once, and skip each other's rows.
DELETE FROM booking.customer_requests
WHERE request_id = ANY (ARRAY(
    SELECT request_id
    FROM booking.customer_requests
    WHERE created_at < clock_timestamp() - make_interval(hours => $1)
    ORDER BY created_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
))
