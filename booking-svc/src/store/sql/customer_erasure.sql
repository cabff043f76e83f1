-- An erasure of the person that is not complete, by any of its names: $1 to $3. Plain comparisons: an
-- OR of them would find no row by key.
SELECT tombstone, customer_id, email, linked_customer_id, begun_at
FROM booking.erasures
WHERE customer_id = $1
UNION ALL
SELECT tombstone, customer_id, email, linked_customer_id, begun_at
FROM booking.erasures
WHERE email = $2
UNION ALL
SELECT tombstone, customer_id, email, linked_customer_id, begun_at
FROM booking.erasures
WHERE linked_customer_id = $3
LIMIT 1
