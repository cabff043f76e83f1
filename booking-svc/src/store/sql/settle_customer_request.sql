UPDATE booking.customer_requests
SET
    result = (SELECT to_jsonb(c) FROM booking.customers AS c WHERE c.customer_id = $2),
    created = $3
WHERE request_id = $1 AND result IS NULL
