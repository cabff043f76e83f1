-- A transaction that adds places for a customer of a show with a quota holds this lock until it
-- ends. The keys come in ascending order, and are locked in it.
SELECT pg_advisory_xact_lock(key)
FROM unnest($1::bigint[]) AS keys (key)
