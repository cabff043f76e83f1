-- For areas with fewer places left than wanted ($1 to $3): the holds with places of the show that
-- have ended but are not yet FAILED, at most $4 of each. Runs after the areas are locked, so every
-- transaction that took places of one has committed. Uses the statement's time, which is after that
-- and can be used in an index condition.
SELECT short.show_id, hold.booking_id, hold.areas::text
FROM (
    SELECT DISTINCT a.show_id
    FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS wanted (show_id, area, quantity)
    JOIN booking.show_areas AS a
        ON a.show_id = ANY (ARRAY[wanted.show_id]) AND a.area = wanted.area
    WHERE a.taken + wanted.quantity > a.capacity
) AS short
CROSS JOIN LATERAL (
    SELECT b.booking_id, b.areas, b.places_held_until
    FROM booking.bookings AS b
    WHERE b.show_id = short.show_id AND b.places_held_until <= statement_timestamp()
    ORDER BY b.places_held_until
    LIMIT $4
) AS hold
ORDER BY short.show_id, hold.places_held_until, hold.booking_id
