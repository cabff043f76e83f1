-- Whoever decides another call under one of the callers' request ids, by the keys $2, is done before
-- anything is looked at here; the keys come in ascending order, and are taken in it. Their locks are
-- those of two numbers, the first of which is theirs alone: what callers choose meets no other lock.
-- Sales are shared with other batches, exclusive with a change of the sale: whoever comes after a
-- cancelled show's lock sees that it is cancelled.
SELECT show_id, revision, state::text
FROM booking.sales
WHERE show_id = ANY($1::uuid[])
    AND (SELECT count(pg_advisory_xact_lock(1, key)) FROM unnest($2::integer[]) AS keys (key)) >= 0
ORDER BY show_id
FOR KEY SHARE
