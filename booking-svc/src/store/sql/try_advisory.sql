-- Takes the advisory locks of lock_sales.sql ($1) and lock_holders.sql ($2) that are free, and returns
-- those that other sessions hold.
SELECT request_key, NULL::bigint AS holder_key
FROM unnest($1::integer[]) AS keys (request_key)
WHERE NOT pg_try_advisory_xact_lock(1, request_key)
UNION ALL
SELECT NULL, holder_key
FROM unnest($2::bigint[]) AS keys (holder_key)
WHERE NOT pg_try_advisory_xact_lock(holder_key)
