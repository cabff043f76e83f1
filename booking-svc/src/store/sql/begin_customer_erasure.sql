-- Inserts nothing if another call has begun to erase the same person.
INSERT INTO booking.erasures (tombstone, customer_id, email, linked_customer_id)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING begun_at
