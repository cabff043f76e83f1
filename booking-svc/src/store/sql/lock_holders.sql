-- Whoever adds to the places of a customer of a show that limits them holds this until its
-- transaction ends. The keys come in ascending order, and are taken in it.
SELECT pg_advisory_xact_lock(key)
FROM unnest($1::bigint[]) AS keys (key)
