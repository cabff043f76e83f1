\set show random(1, :shows)
\set seat random(1, :seats / 2) * 2 - 1
\set customer random(1, 100000)
BEGIN;
SELECT seat_no, status FROM usual.seats WHERE show_id = :show AND seat_no IN (:seat, :seat + 1) ORDER BY seat_no FOR UPDATE;
INSERT INTO usual.bookings (show_id, customer_id, status, total, created_at, expires_at) VALUES (:show, 'customer-' || :customer, 'PENDING', 2500, now(), now() + interval '2 minutes') RETURNING id \gset
UPDATE usual.seats SET status = 'HELD', booking_id = :id WHERE show_id = :show AND seat_no IN (:seat, :seat + 1);
COMMIT;
BEGIN;
SELECT status, expires_at FROM usual.bookings WHERE id = :id FOR UPDATE;
UPDATE usual.bookings SET status = 'CONFIRMED', confirmed_at = now() WHERE id = :id;
UPDATE usual.seats SET status = 'BOOKED' WHERE show_id = :show AND seat_no IN (:seat, :seat + 1);
COMMIT;
