-- Batches that have read the sale commit first; those that come read what is written under
-- this lock. The layout only if it is another than $2.
SELECT
    revision,
    CASE WHEN layout <> ($2::text)::jsonb THEN layout::text END AS other_layout,
    numbering::text,
    proposal
FROM booking.sales
WHERE show_id = $1
FOR UPDATE
