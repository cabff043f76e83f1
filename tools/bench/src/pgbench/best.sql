\set party random(1, 6)
\set customer random(1, 100000)
WITH wanted AS (SELECT seat_no FROM usual.arena WHERE status = 'AVAILABLE' ORDER BY place LIMIT :party FOR UPDATE SKIP LOCKED), made AS (INSERT INTO usual.bookings (show_id, customer_id, status, total, created_at, expires_at) SELECT 1, 'customer-' || :customer, 'PENDING', 1250 * count(*), now(), now() + interval '30 minutes' FROM wanted HAVING count(*) > 0 RETURNING id), held AS (UPDATE usual.arena AS s SET status = 'HELD', booking_id = made.id FROM made, wanted WHERE s.seat_no = wanted.seat_no) SELECT id FROM made;
