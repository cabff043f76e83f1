    -- The value when the statement began: unlike the row it is not read again under the lock.
    AND a.given_back = (
        SELECT seen.given_back FROM booking.show_areas AS seen
        WHERE seen.show_id = new.show_id AND seen.area = new.area
    )
