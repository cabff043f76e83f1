-- A replay gets the tombstone. Runs after the customer's row has been erased.
UPDATE booking.customer_requests AS r
SET result = (SELECT to_jsonb(c) FROM booking.customers AS c WHERE c.customer_id = $1)
WHERE r.result ->> 'customer_id' = $1::uuid::text
