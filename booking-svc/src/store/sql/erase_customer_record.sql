UPDATE booking.customers
SET
    version = version + 1,
    email = 'erased-' || $2::uuid::text || '@erased.invalid',
    display_name = '',
    phone = '',
    external_reference = '',
    updated_at = greatest(updated_at, clock_timestamp()),
    erased_as = $2
WHERE customer_id = $1 AND erased_as IS NULL
