-- Contradictions in the data, each kind by name, with its count: of the show $1, or of all shows if that
-- is null.
WITH
bookings AS NOT MATERIALIZED (
    SELECT * FROM booking.bookings WHERE $1::uuid IS NULL OR show_id = $1
),
seats AS NOT MATERIALIZED (
    SELECT * FROM booking.show_seats WHERE $1::uuid IS NULL OR show_id = $1
),
log AS NOT MATERIALIZED (
    SELECT * FROM booking.transitions WHERE $1::uuid IS NULL OR show_id = $1
),
sales AS NOT MATERIALIZED (
    SELECT * FROM booking.sales WHERE $1::uuid IS NULL OR show_id = $1
),
areas AS NOT MATERIALIZED (
    SELECT * FROM booking.show_areas WHERE $1::uuid IS NULL OR show_id = $1
),
payments AS NOT MATERIALIZED (
    SELECT * FROM booking.payments WHERE $1::uuid IS NULL OR show_id = $1
)
SELECT what, count
FROM (
    SELECT 'seats in two live bookings' AS what, count(*) AS count
    FROM (
        SELECT FROM bookings AS b CROSS JOIN LATERAL unnest(b.seat_ordinals) AS ordinal
        WHERE b.state = 'CONFIRMED' OR b.state = 'PENDING' AND b.expires_at > clock_timestamp()
        GROUP BY b.show_id, ordinal
        HAVING count(*) > 1
    ) AS sold_twice
    UNION ALL
    SELECT 'seats whose owner is not a PENDING or CONFIRMED booking of them', count(*)
    FROM seats AS s
    LEFT JOIN bookings AS b USING (show_id, booking_id)
    WHERE s.booking_id IS NOT NULL
        AND (b.state IN ('PENDING', 'CONFIRMED') AND s.ordinal = ANY (b.seat_ordinals)) IS NOT TRUE
    UNION ALL
    SELECT 'PENDING or CONFIRMED bookings that do not own a seat of theirs', count(*)
    FROM bookings AS b
    CROSS JOIN LATERAL unnest(b.seat_ordinals) AS seat (ordinal)
    LEFT JOIN seats AS s ON s.show_id = b.show_id AND s.ordinal = seat.ordinal
    WHERE b.state IN ('PENDING', 'CONFIRMED') AND s.booking_id IS DISTINCT FROM b.booking_id
    UNION ALL
    SELECT 'bookings whose log has gaps, or does not lead to their state', count(*)
    FROM bookings AS b
    CROSS JOIN LATERAL (
        SELECT count(*) AS entries, max(t.to_state) FILTER (WHERE t.version = b.version) AS last
        FROM booking.transitions AS t
        WHERE t.show_id = b.show_id AND t.booking_id = b.booking_id
    ) AS log
    WHERE log.entries <> b.version OR log.last IS DISTINCT FROM b.state
    UNION ALL
    SELECT 'request ids that were both granted and refused', count(*)
    FROM booking.rejections
    JOIN log USING (show_id, request_id)
    UNION ALL
    SELECT 'customers with more places of a show than one may have', count(*)
    FROM (
        SELECT
        FROM bookings AS b
        JOIN sales AS s USING (show_id)
        WHERE b.state = 'CONFIRMED' OR b.state = 'PENDING' AND b.expires_at > clock_timestamp()
        GROUP BY b.show_id, s.places_per_customer_max,
            coalesce(b.linked_customer_id::text, b.customer_id, b.email)
        HAVING sum(cardinality(b.seat_ordinals) + (
            SELECT coalesce(sum(line.quantity), 0)
            FROM jsonb_to_recordset(b.areas) AS line (quantity bigint)
        )) > s.places_per_customer_max
    ) AS exceeded
    UNION ALL
    SELECT 'entries of the log that do not begin where the one before ended', count(*)
    FROM (
        SELECT t.from_state, lag(t.to_state) OVER booking AS before,
            t.version, lag(t.version, 1, 0) OVER booking AS version_before
        FROM log AS t
        WINDOW booking AS (PARTITION BY t.show_id, t.booking_id ORDER BY t.version)
    ) AS t
    WHERE t.from_state IS DISTINCT FROM t.before OR t.version <> t.version_before + 1
    UNION ALL
    SELECT 'entries of the log about no booking', count(*)
    FROM log AS t
    LEFT JOIN bookings AS b USING (show_id, booking_id)
    WHERE b.version IS NULL
    UNION ALL
    SELECT 'bookings that were confirmed or cancelled at another time than the log says', count(*)
    FROM log AS t
    JOIN bookings AS b USING (show_id, booking_id)
    WHERE t.from_state IS DISTINCT FROM t.to_state
        AND (t.to_state = 'CONFIRMED' AND b.confirmed_at IS DISTINCT FROM t.made_at
            OR t.to_state = 'CANCELLED' AND b.cancelled_at IS DISTINCT FROM t.made_at)
    UNION ALL
    SELECT 'PENDING or CONFIRMED bookings of sales that are fully cancelled', count(*)
    FROM bookings AS b
    JOIN sales AS s USING (show_id)
    WHERE b.state IN ('PENDING', 'CONFIRMED') AND s.fully_cancelled_at IS NOT NULL
    UNION ALL
    SELECT 'bookings whose refund due is not what was paid and returned', count(*)
    FROM bookings AS b
    WHERE b.refund_due IS DISTINCT FROM nullif(coalesce(b.released, 0) + CASE
        WHEN b.state = 'CANCELLED' AND b.confirmed_at IS NOT NULL THEN b.total
        -- Paid too late.
        WHEN b.state = 'FAILED' AND b.payment_state = 'CAPTURED' THEN b.total
        ELSE 0
    END, 0)
    UNION ALL
    SELECT 'bookings whose total is not the sum of their lines', count(*)
    FROM bookings AS b
    WHERE b.total <> (SELECT coalesce(sum(price), 0) FROM unnest(b.seat_prices) AS price) + (
        SELECT coalesce(sum(line.quantity * line.price), 0)
        FROM jsonb_to_recordset(b.areas) AS line (quantity bigint, price bigint)
    )
    UNION ALL
    SELECT 'areas whose counter is not the sum of PENDING and CONFIRMED bookings', count(*)
    FROM areas AS a
    FULL JOIN (
        SELECT b.show_id, line.area, sum(line.quantity) AS places
        FROM bookings AS b
        CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text, quantity bigint)
        WHERE b.state IN ('PENDING', 'CONFIRMED')
        GROUP BY b.show_id, line.area
    ) AS sold USING (show_id, area)
    WHERE coalesce(a.taken, 0) <> coalesce(sold.places, 0)
    UNION ALL
    SELECT 'areas of which live bookings have more places than there are', count(*)
    FROM areas AS a
    WHERE a.capacity < (
        SELECT sum(line.quantity)
        FROM bookings AS b
        CROSS JOIN LATERAL jsonb_to_recordset(b.areas) AS line (area text, quantity bigint)
        WHERE b.show_id = a.show_id AND line.area = a.area
            AND (b.state = 'CONFIRMED' OR b.state = 'PENDING' AND b.expires_at > clock_timestamp())
    )
    UNION ALL
    SELECT 'bookings that a show''s end has ended while it is on sale', count(*)
    FROM bookings AS b
    JOIN sales AS s USING (show_id)
    WHERE s.state <> 'CANCELLED'
        AND (b.cancel_reason = 'SHOW_CANCELLED' OR b.failure_reason = 'SHOW_CANCELLED')
    UNION ALL
    SELECT 'bookings whose payment is not on record as they have it', count(*)
    FROM bookings AS b
    LEFT JOIN payments AS p USING (show_id, payment_key)
    WHERE b.payment_key IS NOT NULL
        AND (p.booking_id = b.booking_id AND p.state = b.payment_state) IS NOT TRUE
    UNION ALL
    SELECT 'payments that have taken more or less than is sold for them or due', count(*)
    FROM payments AS p
    LEFT JOIN bookings AS b USING (show_id, payment_key)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(r.amount), 0) AS due
        FROM booking.refunds AS r
        WHERE r.show_id = p.show_id AND r.payment_key = p.payment_key
    ) AS back
    WHERE back.due <> CASE
        WHEN p.state <> 'CAPTURED' THEN 0
        WHEN b.state = 'CONFIRMED' THEN p.amount - b.total
        ELSE p.amount
    END
    UNION ALL
    SELECT 'sales ahead of the feed''s cursor in the catalog', count(*)
    FROM sales AS s
    WHERE s.revision > (SELECT revision FROM catalog.feed)
) AS checks
WHERE count > 0
