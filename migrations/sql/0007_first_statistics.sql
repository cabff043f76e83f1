-- The planner knows nothing of the log until it is first analyzed with rows in it. It may then look
-- a request id up by the show alone, and the commit workers keep that plan while the first sale
-- fills the show: ten times as slow. So the statistics begin with a show of 1,000 events. An
-- ANALYZE of the empty table leaves them as they are; one that finds rows replaces them.
--
-- This is a file, and so a transaction, of its own: TRUNCATE makes a table's size unknown again
-- only if an earlier transaction created it. A table of the same transaction would stay one of 0
-- rows, for which the planner expects one event per show, whatever the statistics say.

DO $$
BEGIN
    LOCK TABLE booking.transitions IN ACCESS EXCLUSIVE MODE;
    -- A log that is in use is never emptied.
    IF EXISTS (SELECT FROM booking.transitions) THEN
        RETURN;
    END IF;
    INSERT INTO booking.transitions (
        show_id, booking_id, version, verb, to_state, made_at, actor, request_id, fingerprint
    )
    SELECT '00000000-0000-8000-8000-000000000000', gen_random_uuid(), 1, 'RESERVE', 'PENDING',
        now(), 'migration', gen_random_uuid(), 0
    FROM generate_series(1, 1000);
    ANALYZE booking.transitions;
    -- Not DELETE: pages without rows would say that there will be none.
    TRUNCATE booking.transitions;
END
$$;
