\set quantity random(1, 4)
\set customer random(1, 100000)
WITH taken AS (UPDATE usual.areas SET taken = taken + :quantity WHERE show_id = 1 AND taken + :quantity <= capacity RETURNING show_id) INSERT INTO usual.bookings (show_id, customer_id, status, total, created_at, expires_at) SELECT show_id, 'customer-' || :customer, 'PENDING', :quantity * 1250, now(), now() + interval '2 minutes' FROM taken RETURNING id;
