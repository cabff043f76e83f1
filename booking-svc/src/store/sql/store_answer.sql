INSERT INTO booking.answers (show_id, proposal, accepted, booked_seats)
VALUES ($1, $2, $3, $4)
ON CONFLICT (show_id) DO UPDATE
SET proposal = excluded.proposal, accepted = excluded.accepted, booked_seats = excluded.booked_seats
