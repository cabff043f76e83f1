-- Whoever writes without having locked before looks at the refusals when it has waited for
-- whatever it had to wait for: VOLATILE, so that it sees what was committed until then, which the
-- statement around it does not.
CREATE FUNCTION booking.expect_no_refusal(show_ids uuid[], request_ids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Often nothing was refused for a day.
    IF EXISTS (SELECT FROM booking.refusals) AND EXISTS (
        SELECT
        FROM unnest(show_ids, request_ids) AS new (show_id, request_id)
        JOIN booking.refusals AS r
            ON r.show_id = ANY (ARRAY[new.show_id]) AND r.request_id = new.request_id
    ) THEN
        PERFORM booking.refused_before();
    END IF;
END
$$;
