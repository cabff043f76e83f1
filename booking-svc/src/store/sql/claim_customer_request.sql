INSERT INTO booking.customer_requests (request_id, fingerprint)
VALUES ($1, $2)
ON CONFLICT (request_id) DO NOTHING
