SELECT
    c.customer_id, c.version, c.email, c.display_name, c.phone, c.external_reference, c.created_at,
    c.updated_at, r.created, r.fingerprint
FROM booking.customer_requests AS r
CROSS JOIN LATERAL jsonb_populate_record(NULL::booking.customers, r.result) AS c
WHERE r.request_id = $1
