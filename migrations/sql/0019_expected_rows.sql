-- What functions look up row by row is a subquery that cannot become a join: their plans are made
-- when they first run, perhaps on tables that are empty, and are kept while those grow.

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
        WHERE (
            SELECT r.request_id
            FROM booking.refusals AS r
            WHERE r.show_id = new.show_id AND r.request_id = new.request_id
        ) IS NOT NULL
    ) THEN
        PERFORM booking.refused_before();
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION booking.owners_exist() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    nobody uuid := (
        SELECT given.booking_id
        FROM given
        WHERE given.booking_id IS NOT NULL AND (
            SELECT b.booking_id
            FROM booking.bookings AS b
            WHERE b.show_id = given.show_id AND b.booking_id = given.booking_id
        ) IS NULL
        LIMIT 1
    );
BEGIN
    IF nobody IS NOT NULL THEN
        RAISE EXCEPTION 'a seat is given to booking %, which is not there', nobody
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION booking.sales_exist() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    missing uuid := (
        SELECT made.show_id
        FROM (SELECT DISTINCT show_id FROM made) AS made
        WHERE (SELECT s.show_id FROM booking.sales AS s WHERE s.show_id = made.show_id) IS NULL
        LIMIT 1
    );
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'a seat is made for show %, which has no sale', missing
            USING ERRCODE = 'foreign_key_violation', SCHEMA = 'booking', TABLE = 'show_seats',
                CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;
