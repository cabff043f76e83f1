-- An attempt to pay, with its refunds.
SELECT
    p.show_id,
    p.payment_key,
    p.booking_id,
    p.state::text,
    p.amount,
    p.currency,
    p.decline_reason,
    p.started_at,
    p.deadline_at,
    extract(epoch FROM p.deadline_at - clock_timestamp())::float8,
    back.refunded,
    back.due,
    back.declined
FROM booking.payments AS p
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(r.amount) FILTER (WHERE r.state = 'REFUNDED'), 0)::bigint AS refunded,
        coalesce(sum(r.amount) FILTER (WHERE r.state = 'DUE'), 0)::bigint AS due,
        coalesce(sum(r.amount) FILTER (WHERE r.state = 'DECLINED'), 0)::bigint AS declined
    FROM booking.refunds AS r
    WHERE r.show_id = p.show_id AND r.payment_key = p.payment_key
) AS back
WHERE p.show_id = ANY (ARRAY[wanted.show_id]) AND p.payment_key = wanted.payment_key
