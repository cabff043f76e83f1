DELETE FROM booking.erasures WHERE tombstone = $1
