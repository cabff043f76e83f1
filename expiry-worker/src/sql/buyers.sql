-- Whether orders are being decided at this moment: booking-svc has their sales locked then, and no
-- other session does.
SELECT EXISTS (
    SELECT
    FROM pg_locks
    WHERE relation = 'booking.sales'::regclass AND mode = 'RowShareLock'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
