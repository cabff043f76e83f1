-- Stores final rejections. If the call was granted before, there is no rejection, and one stored
-- before stays as it was.
INSERT INTO booking.rejections (show_id, request_id, fingerprint, rejection, refused_at)
SELECT new.show_id, new.request_id, new.fingerprint, new.rejection::jsonb, $5::timestamptz
FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[])
    AS new (show_id, request_id, fingerprint, rejection)
WHERE NOT EXISTS (
    SELECT
    FROM booking.transitions AS t
    WHERE t.show_id = ANY (ARRAY[new.show_id]) AND t.request_id = new.request_id
)
ORDER BY new.show_id, new.request_id
ON CONFLICT (show_id, request_id) DO NOTHING
