SELECT customer_id, version, email, display_name, phone, external_reference, created_at, updated_at
FROM booking.customers
WHERE customer_id = $1 AND erased_as IS NULL
FOR UPDATE
