-- $2, $3: the areas of a show that are on sale, and how many places each offers.
WITH offered AS (
    INSERT INTO booking.show_areas (show_id, area, capacity)
    SELECT $1, new.area, new.capacity
    FROM unnest($2::text[], $3::integer[]) AS new (area, capacity)
    ON CONFLICT (show_id, area) DO UPDATE
    SET capacity = excluded.capacity, overhang = greatest(show_areas.taken - excluded.capacity, 0)
)
UPDATE booking.show_areas
SET capacity = 0, overhang = taken
WHERE show_id = $1 AND area <> ALL ($2::text[])
