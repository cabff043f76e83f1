-- Runs after the locks, as replays.sql does.
SELECT r.show_id, r.request_id, r.fingerprint, r.rejection::text
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (show_id, request_id)
JOIN booking.rejections AS r
    ON r.show_id = ANY (ARRAY[wanted.show_id]) AND r.request_id = wanted.request_id
