UPDATE booking.feed_cursor SET revision = $1 WHERE revision < $1
