-- Batches that have read the sale commit first; later ones read the rows written under
-- this lock. Returns the layout only if it differs from $2.
SELECT
    revision,
    CASE WHEN layout <> ($2::text)::jsonb THEN layout::text END AS other_layout,
    numbering::text,
    proposal
FROM booking.sales
WHERE show_id = $1
FOR UPDATE
