-- Where a step that begins after $1 ends: with the $2nd booking after it, or now. The index
-- lists every booking there is; read in steps, no statement takes long over it.
SELECT
    now(),
    (
        SELECT expires_at
        FROM booking.bookings
        WHERE expires_at > $1 AND expires_at <= now()
        ORDER BY expires_at
        OFFSET $2::bigint - 1
        LIMIT 1
    )
