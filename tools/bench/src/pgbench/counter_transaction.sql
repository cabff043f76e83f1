\set quantity random(1, 4)
\set customer random(1, 100000)
BEGIN;
SELECT capacity - taken AS free FROM usual.areas WHERE show_id = 1 FOR UPDATE;
INSERT INTO usual.bookings (show_id, customer_id, status, total, created_at, expires_at) VALUES (1, 'customer-' || :customer, 'PENDING', :quantity * 1250, now(), now() + interval '2 minutes') RETURNING id;
UPDATE usual.areas SET taken = taken + :quantity WHERE show_id = 1;
COMMIT;
