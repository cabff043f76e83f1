-- What a choice of seats by label has left single, where the show's orphan rule asks.

-- The ordinals of those seats, ascending: two for each of the booking's own at the most; null if
-- there are none.
ALTER TABLE booking.bookings ADD COLUMN stranded integer[];

-- Its rule stands in booking.is_sound, and the column in booking.bookings_now, as the next version
-- makes them: both come in the same release.
