-- Everything that a batch writes, as one statement: each statement costs, whatever its size.
-- $1: bookings that are new. Nobody can name a booking in the batch that makes it, so they are as
--     they were made.
-- $2: bookings that have changed, by the version that was locked, and the end of their holds.
-- $3: seats that have changed hands, by the owner that was locked.
-- $4: the log. $7: the time of it all. $9, $10: the shows and the request ids of the log.
-- $5: sales that were not locked before, by the revision that is expected, or by any if it is null,
--     and until when it is as expected. Everything here is compared with what was locked or
--     expected, so that it does not matter which. What is expected happens at the moment when it is
--     compared, a little later than $7; but not if it was sent long ago.
-- $6: areas that were not locked before, in the order of locks, and how many places more are taken
--     of each. How many had been does not matter, as long as there are so many left.
--     They can be counted last, when all has been written: a counter that everybody wants is then
--     locked for no longer than that takes, but for the COMMIT. But what is made is older than that
--     lock then, which is in order only if no place was given back between: see given_back.
-- $8: the keys of the callers' request ids, if they were not locked before, in ascending order; see
--     lock_sales.sql. $11: how long it waits for a lock, which is set before the first is taken.
-- Each is an array of rows rather than one for each column: what becomes rows of more than one array
-- is put together out of as many, which costs a batch whatever its size.
-- What stands between two marks is left out if it has nothing to do: even that costs.
WITH moment AS MATERIALIZED (
    SELECT CASE
        WHEN set_config('lock_timeout', $11::text, true) IS NULL THEN NULL
        WHEN (SELECT count(pg_advisory_xact_lock(1, key)) FROM unnest($8::integer[]) AS keys (key)) = 0
            THEN interval '0'
        ELSE greatest(clock_timestamp() - $7::timestamptz, interval '0')
    END AS later
), made AS MATERIALIZED (
    SELECT CASE
        WHEN cardinality($5::booking.expected_sale[]) = 0 THEN interval '0'
        ELSE greatest(clock_timestamp() - $7::timestamptz, interval '0')
    END AS later
), sold AS (
    SELECT expected.until
    FROM unnest($5::booking.expected_sale[]) AS expected
    JOIN booking.sales AS s ON s.show_id = ANY (ARRAY[expected.show_id])
    WHERE s.revision = coalesce(expected.revision, s.revision) AND s.state <> 'CANCELLED'
        AND (SELECT later FROM moment) < interval '5 s'
    ORDER BY expected.show_id
    FOR KEY SHARE OF s
)
-- {new
, inserted AS (
    INSERT INTO booking.bookings (
        show_id, booking_id, state, version, customer_id, email, seat_ordinals, seat_prices,
        total, currency, created_at, expires_at, seat_tiers, confirmed_at, areas, places_held_until,
        linked_customer_id
    )
    SELECT
        new.show_id, new.booking_id, new.state::booking.booking_state, 1, new.customer_id, new.email,
        new.seat_ordinals, new.seat_prices, new.total, new.currency,
        $7::timestamptz + made.later, new.expires_at + made.later,
        new.seat_tiers, new.confirmed_at + made.later, new.areas::jsonb,
        CASE WHEN new.areas IS NOT NULL AND new.state = 'PENDING' THEN
            new.expires_at + made.later
        END,
        new.linked_customer_id
    FROM made, unnest($1::booking.new_booking[]) AS new
-- {counted last
    RETURNING 1
-- counted last}
)
-- new}
-- {changed
, changed AS (
    UPDATE booking.bookings AS b
    SET
        state = new.state::booking.booking_state,
        failure_reason = new.failure_reason::booking.failure_reason,
        version = new.version,
        confirmed_at = new.confirmed_at + (SELECT later FROM moment),
        cancelled_at = new.cancelled_at + (SELECT later FROM moment),
        failed_at = new.failed_at,
        refund_due = new.refund_due,
        cancel_reason = new.cancel_reason::booking.cancel_reason,
        -- It has ended, or is sold.
        places_held_until = NULL
    FROM unnest($2::booking.changed_booking[]) AS new
    WHERE b.show_id = ANY (ARRAY[new.show_id]) AND b.booking_id = new.booking_id
        AND b.version = new.prior_version
        -- Not by =, for which there is an index.
        AND b.expires_at IS NOT DISTINCT FROM new.expires_at
    RETURNING cardinality($5) = 0 OR b.expires_at > clock_timestamp() AS in_time
)
-- changed}
-- {areas
, counted AS (
    UPDATE booking.show_areas AS a
    SET taken = a.taken + new.quantity
    FROM unnest($6::booking.counted_area[]) AS new
    WHERE a.show_id = ANY (ARRAY[new.show_id]) AND a.area = new.area
        AND a.taken + new.quantity <= a.capacity
-- {counted last
        -- What it was when the statement began: unlike the row it is not read again under the lock.
        AND a.given_back = (
            SELECT seen.given_back FROM booking.show_areas AS seen
            WHERE seen.show_id = new.show_id AND seen.area = new.area
        )
-- counted last}
    RETURNING 1
)
-- areas}
-- {seats
, given AS (
    UPDATE booking.show_seats AS s
    SET booking_id = new.booking_id
    FROM unnest($3::booking.given_seat[]) AS new
    WHERE s.show_id = ANY (ARRAY[new.show_id]) AND s.ordinal = new.ordinal
        AND s.booking_id IS NOT DISTINCT FROM new.prior_booking_id
    RETURNING 1
)
-- seats}
, logged AS (
    INSERT INTO booking.transitions (
        show_id, booking_id, version, verb, from_state, to_state, made_at, actor, request_id,
        fingerprint, prior
    )
    SELECT
        new.show_id, new.booking_id, new.version, new.verb::booking.verb,
        new.from_state::booking.booking_state, new.to_state::booking.booking_state,
        $7::timestamptz + CASE
            WHEN new.version = 1 THEN (SELECT later FROM made) ELSE (SELECT later FROM moment)
        END,
        'booking-svc', new.request_id, new.fingerprint, new.prior::jsonb
    FROM unnest($4::booking.new_transition[]) AS new
-- {counted last
    RETURNING 1
-- counted last}
)
-- One after another, in the order in which everybody locks. A lock may have been waited for: what
-- counts is the time at which it is there. What is new is made when all of them are, or else all but
-- those of the counters.
SELECT
    -- Locks them; whether they are as expected is told when all is locked.
    (SELECT count(*) FROM sold),
    -- A copy of what was refused is not granted.
    booking.expect_no_rejection($9::uuid[], $10::uuid[]),
-- {changed
    booking.expect_rows(
        'bookings changed', (SELECT count(*) FROM changed WHERE in_time), cardinality($2)
    ),
-- changed}
-- {counted last
    (SELECT count(*) FROM inserted),
    (SELECT count(*) FROM logged),
-- counted last}
-- {areas
    booking.expect_rows('areas counted', (SELECT count(*) FROM counted), cardinality($6)),
-- areas}
-- {seats
    booking.expect_rows('seats given', (SELECT count(*) FROM given), cardinality($3)),
-- seats}
    booking.expect_rows(
        'sales expected',
        (
            SELECT count(*) FROM sold
            -- What is new is made before it closes, and counted.
            WHERE greatest($7::timestamptz + (SELECT later FROM made), clock_timestamp())
                < coalesce(until, 'infinity')
        ),
        cardinality($5)
    ),
    $7::timestamptz + (SELECT later FROM moment) AS moment,
    $7::timestamptz + (SELECT later FROM made) AS made,
    clock_timestamp() AS clock
