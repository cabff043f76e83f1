-- A role for each service, with what it needs and no more. They are given no password
-- here: `migrate up` sets those it finds in its environment. Roles belong to the whole
-- cluster, so another database of it may have made them already.

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['catalog_svc', 'booking_svc', 'expiry_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', service);
        END IF;
        -- Set on the role and not by the sessions, so that they hold behind a pooler too.
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''10s''', service);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''3s''', service);
        -- A client that was cut off while it held locks loses them within seconds.
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''3s''', service);
        EXECUTE format('ALTER ROLE %I SET tcp_user_timeout = ''3s''', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_idle = 1', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_interval = 1', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_count = 3', service);
        EXECUTE format('ALTER ROLE %I SET default_transaction_isolation = ''read committed''', service);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
        EXECUTE format('GRANT SELECT ON public._sqlx_migrations TO %I', service);
    END LOOP;
    -- The batch statements find their rows by key. On fresh tables, without statistics, the
    -- planner would take sequential scans instead, and keep them.
    ALTER ROLE booking_svc SET plan_cache_mode = 'force_generic_plan';
    ALTER ROLE booking_svc SET enable_seqscan = off;
    ALTER ROLE booking_svc SET enable_hashjoin = off;
    ALTER ROLE booking_svc SET enable_mergejoin = off;
    ALTER ROLE booking_svc SET enable_bitmapscan = off;
    ALTER ROLE booking_svc SET jit = off;
    ALTER ROLE expiry_worker SET plan_cache_mode = 'force_generic_plan';
    ALTER ROLE expiry_worker SET enable_seqscan = off;
    ALTER ROLE expiry_worker SET enable_hashjoin = off;
    ALTER ROLE expiry_worker SET enable_mergejoin = off;
    ALTER ROLE expiry_worker SET enable_bitmapscan = off;
    ALTER ROLE expiry_worker SET jit = off;
END
$$;

GRANT USAGE ON SCHEMA catalog TO catalog_svc;
GRANT SELECT, UPDATE ON catalog.feed TO catalog_svc;
GRANT SELECT, INSERT, UPDATE ON catalog.shows TO catalog_svc;
GRANT SELECT, INSERT, UPDATE (result), DELETE ON catalog.requests TO catalog_svc;

GRANT USAGE ON SCHEMA booking TO booking_svc, expiry_worker;

GRANT SELECT, UPDATE ON booking.feed_cursor TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.sales TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.bookings TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.show_seats TO booking_svc;
GRANT SELECT, INSERT ON booking.transitions TO booking_svc;
GRANT SELECT ON booking.bookings_now TO booking_svc;

GRANT SELECT ON booking.bookings, booking.show_seats TO expiry_worker;
GRANT UPDATE (state, failure_reason, failed_at, version) ON booking.bookings TO expiry_worker;
GRANT UPDATE (booking_id) ON booking.show_seats TO expiry_worker;
GRANT INSERT ON booking.transitions TO expiry_worker;
