-- A transaction that gives a customer an address holds this lock until it ends, so that the next one
-- sees its result. Without it two that take the same address would meet in the unique index,
-- and PostgreSQL would write the address into its log with the error.
SELECT pg_advisory_xact_lock(hashtextextended('booking.customers ' || $1::text, 0))
