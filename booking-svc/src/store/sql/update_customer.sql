-- Runs under the locks of the row, and of a new address, so that nobody else can take it.
UPDATE booking.customers AS c
SET
    version = c.version + 1,
    email = $3,
    display_name = $4,
    phone = $5,
    external_reference = $6,
    updated_at = greatest(c.updated_at, clock_timestamp())
WHERE c.customer_id = $1 AND c.version = $2
    AND NOT EXISTS (
        SELECT FROM booking.customers AS other
        WHERE other.email = $3 AND other.customer_id <> $1
    )
RETURNING customer_id, version, email, display_name, phone, external_reference, created_at, updated_at
