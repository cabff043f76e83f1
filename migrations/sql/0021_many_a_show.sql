-- Until the log is first analyzed with rows in it, nothing tells the planner that a show has many of
-- them: it may look a request id up by the show alone, and the lanes keep that plan while the first
-- sale goes through the roof. So the statistics begin with a show as it will be. An ANALYZE of the
-- empty table leaves them as they are; one that finds rows replaces them.
DO $$
BEGIN
    LOCK TABLE booking.transitions IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM booking.transitions) THEN
        RETURN;
    END IF;
    INSERT INTO booking.transitions (
        show_id, booking_id, version, verb, to_state, made_at, actor, request_id, fingerprint
    )
    SELECT '00000000-0000-8000-8000-000000000000', gen_random_uuid(), 1, 'RESERVE', 'PENDING', now(),
        'migration', gen_random_uuid(), 0
    FROM generate_series(1, 1000);
    ANALYZE booking.transitions;
    -- Not DELETE: pages without rows would say that there will be none.
    TRUNCATE booking.transitions;
END
$$;
