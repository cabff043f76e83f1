-- A role for each service, with what it needs and no more. They get no password here: `migrate up`
-- sets those that it finds in its environment. Roles belong to the whole cluster, so another
-- database may have made them already. docs/plans.md has the settings side by side.

DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['catalog_svc', 'booking_svc', 'expiry_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', service);
        END IF;
        -- On the role and not in the sessions, so that they hold behind a pooler too.
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''10s''', service);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''3s''', service);
        -- A client that is cut off while it holds locks loses them within seconds.
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''3s''', service);
        EXECUTE format('ALTER ROLE %I SET tcp_user_timeout = ''3s''', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_idle = 1', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_interval = 1', service);
        EXECUTE format('ALTER ROLE %I SET tcp_keepalives_count = 3', service);
        -- Each statement sees what was committed while its locks were awaited.
        EXECUTE format('ALTER ROLE %I SET default_transaction_isolation = ''read committed''', service);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
        -- Each checks at its start that the schema is not older than it needs.
        EXECUTE format('GRANT SELECT ON public._sqlx_migrations TO %I', service);
    END LOOP;
END
$$;

-- One statement lists shows by any filters. It is planned for those of the call, and not once for
-- all.
ALTER ROLE catalog_svc SET plan_cache_mode = 'force_custom_plan';

-- The batch statements find their rows by key. On new tables, without statistics, the planner would
-- take sequential scans instead, and keep them. Compiling costs more than such a statement.
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


-- catalog-svc has its own schema. It deletes nothing but results of old requests, and changes
-- nothing of a layout but its deletion.

GRANT USAGE ON SCHEMA catalog TO catalog_svc;
GRANT SELECT, INSERT ON catalog.layouts TO catalog_svc;
GRANT UPDATE (deleted_at) ON catalog.layouts TO catalog_svc;
GRANT SELECT, INSERT, UPDATE ON catalog.shows TO catalog_svc;
GRANT SELECT, INSERT ON catalog.proposals TO catalog_svc;
GRANT UPDATE (state, booked_seats, answered_at) ON catalog.proposals TO catalog_svc;
GRANT SELECT, UPDATE ON catalog.feed TO catalog_svc;
GRANT SELECT, INSERT ON catalog.timelines TO catalog_svc;
GRANT SELECT, INSERT, UPDATE (result), DELETE ON catalog.requests TO catalog_svc;


-- booking-svc has its own schema. It never deletes bookings, their log, customers or payments.

GRANT USAGE ON SCHEMA booking TO booking_svc, expiry_worker;

GRANT SELECT, UPDATE ON booking.feed_cursor TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.sales TO booking_svc;
-- UPDATE: a catalog that was accepted later may delete a show once more.
GRANT SELECT, INSERT, UPDATE (revision) ON booking.deleted_shows TO booking_svc;
GRANT SELECT, INSERT, UPDATE, DELETE ON booking.answers TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.bookings TO booking_svc;
GRANT SELECT ON booking.bookings_now TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.show_seats TO booking_svc;
GRANT SELECT, INSERT, UPDATE ON booking.show_areas TO booking_svc;
GRANT SELECT, INSERT ON booking.transitions TO booking_svc;
-- UPDATE of one column: to lock a row takes the right to change some column of it, and the sweep
-- locks what it deletes, to leave alone what somebody else has locked.
GRANT SELECT, INSERT, UPDATE (refused_at), DELETE ON booking.rejections TO booking_svc;
GRANT SELECT, INSERT ON booking.customers TO booking_svc;
GRANT UPDATE (version, email, display_name, phone, external_reference, updated_at)
    ON booking.customers TO booking_svc;
GRANT SELECT, INSERT, UPDATE (result, created), DELETE ON booking.customer_requests TO booking_svc;
GRANT SELECT, INSERT ON booking.payments, booking.refunds TO booking_svc;
GRANT UPDATE (state, settled_at, decline_reason, looks, look_at) ON booking.payments TO booking_svc;
GRANT UPDATE (state, settled_at, looks, look_at) ON booking.refunds TO booking_svc;


-- expiry-worker fails bookings, frees their seats and places, and writes the log.

GRANT SELECT ON booking.bookings, booking.show_seats, booking.show_areas TO expiry_worker;
GRANT UPDATE (state, failure_reason, failed_at, version, places_held_until)
    ON booking.bookings TO expiry_worker;
GRANT UPDATE (booking_id) ON booking.show_seats TO expiry_worker;
GRANT UPDATE (taken) ON booking.show_areas TO expiry_worker;
GRANT INSERT ON booking.transitions TO expiry_worker;
