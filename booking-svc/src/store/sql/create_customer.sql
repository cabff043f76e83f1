-- Under the lock of the address: a customer that has it is seen by this statement.
WITH made AS (
    INSERT INTO booking.customers (
        customer_id, version, email, display_name, phone, external_reference, created_at, updated_at
    )
    SELECT $1, 1, $2, $3, $4, $5, now.at, now.at
    FROM (SELECT clock_timestamp() AS at) AS now
    ON CONFLICT (email) DO NOTHING
    RETURNING *
)
SELECT customer_id, version, email, display_name, phone, external_reference, created_at, updated_at,
    true AS created
FROM made
UNION ALL
SELECT customer_id, version, email, display_name, phone, external_reference, created_at, updated_at,
    false
FROM booking.customers
WHERE email = $2
