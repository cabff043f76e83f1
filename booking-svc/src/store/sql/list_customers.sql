SELECT customer_id, version, email, display_name, phone, external_reference, created_at, updated_at
FROM booking.customers
WHERE customer_id > $1 AND erased_as IS NULL
ORDER BY customer_id
LIMIT $2
