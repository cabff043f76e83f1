-- $2: the first ordinal that is new. $3: how many there are then.
INSERT INTO booking.show_seats (show_id, ordinal)
SELECT $1, generate_series($2::integer, $3::integer - 1)
