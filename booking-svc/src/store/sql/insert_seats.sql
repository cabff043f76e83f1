INSERT INTO booking.show_seats (show_id, ordinal)
SELECT $1, generate_series(0, $2::integer - 1)
