-- Shared with other batches, exclusive with a change of the sale: whoever comes after a
-- cancelled show's lock sees that it is cancelled.
SELECT show_id, revision, state::text
FROM booking.sales
WHERE show_id = ANY($1::uuid[])
ORDER BY show_id
FOR KEY SHARE
