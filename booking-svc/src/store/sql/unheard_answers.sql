SELECT show_id, proposal, accepted, booked_seats FROM booking.answers ORDER BY show_id LIMIT $1
