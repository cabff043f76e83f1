-- What is open, for the metrics. Each part reads $1 rows at the most, by an index, and counts those
-- alone.
WITH holds AS MATERIALIZED (
    SELECT state FROM booking.bookings WHERE expires_at > now() ORDER BY expires_at LIMIT $1
), payments AS MATERIALIZED (
    SELECT deadline_at FROM booking.payments WHERE state = 'STARTED' ORDER BY look_at LIMIT $1
), refunds AS MATERIALIZED (
    SELECT owed_at FROM booking.refunds WHERE state = 'DUE' ORDER BY look_at LIMIT $1
)
SELECT
    (SELECT count(*) FROM holds WHERE state = 'PENDING'),
    (SELECT count(*) FROM payments),
    (SELECT count(*) FROM payments WHERE deadline_at <= now()),
    (SELECT count(*) FROM refunds),
    (SELECT coalesce(extract(epoch FROM now() - min(owed_at)), 0)::float8 FROM refunds)
