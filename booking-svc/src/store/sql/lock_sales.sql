-- Takes the locks of the callers' request ids, by the keys $2, so that another call under the same
-- id is finished before anything is read here; the keys come in ascending order, and are locked in
-- it. Two-number advisory locks with a class of their own: ids that callers choose meet no other lock.
-- Sales are locked shared by batches, exclusive by a change of the sale: a batch that locks a sale
-- after the show's cancellation sees that it is cancelled.
SELECT show_id, revision, state::text
FROM booking.sales
WHERE show_id = ANY($1::uuid[])
    AND (SELECT count(pg_advisory_xact_lock(1, key)) FROM unnest($2::integer[]) AS keys (key)) >= 0
ORDER BY show_id
FOR KEY SHARE
