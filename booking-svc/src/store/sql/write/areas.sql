-- Places of areas that are taken or given back.
UPDATE booking.show_areas AS a
SET taken = a.taken + new.quantity
FROM unnest($6::booking.counted_area[]) AS new
WHERE a.show_id = ANY (ARRAY[new.show_id]) AND a.area = new.area
    AND a.taken + new.quantity <= a.capacity
