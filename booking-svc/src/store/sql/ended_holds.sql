-- Where an area has fewer places left than are wanted of it ($1 to $3), the holds with places of
-- its show that have ended and are not written down as such, $4 of each at the most. Behind the
-- areas' locks: whoever has places of one has committed. The statement's time, which is after
-- that, since an index can be asked for it.
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
