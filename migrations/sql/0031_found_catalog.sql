-- A catalog that booking-svc has found and does not follow, because it is another one or has lost what
-- was followed: what `migrate accept-catalog` would have it follow.
ALTER TABLE booking.feed_cursor
    ADD COLUMN found_installation_id uuid,
    ADD COLUMN found_revision bigint,
    ADD COLUMN found_at timestamptz,
    ADD CONSTRAINT found_as_a_whole CHECK (
        (found_installation_id IS NULL) = (found_at IS NULL)
        AND (found_revision IS NULL) = (found_at IS NULL)
    );

-- A show may be deleted once more by a catalog that was accepted later.
GRANT UPDATE (revision) ON booking.deleted_shows TO booking_svc;
