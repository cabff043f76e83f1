\set show random(1, :shows)
\set seat random(1, :seats / 2) * 2 - 1
\set customer random(1, 100000)
WITH wanted AS (SELECT seat_no FROM usual.seats WHERE show_id = :show AND seat_no IN (:seat, :seat + 1) ORDER BY seat_no FOR UPDATE), made AS (INSERT INTO usual.bookings (show_id, customer_id, status, total, created_at, expires_at) SELECT :show, 'customer-' || :customer, 'PENDING', 2500, now(), now() + interval '2 minutes' WHERE (SELECT count(*) FROM wanted) = 2 RETURNING id), held AS (UPDATE usual.seats AS s SET status = 'HELD', booking_id = made.id FROM made WHERE s.show_id = :show AND s.seat_no IN (:seat, :seat + 1)) SELECT id FROM made \gset
UPDATE usual.bookings SET status = 'CONFIRMED', confirmed_at = now() WHERE id = :id AND status = 'PENDING' AND expires_at > now();
