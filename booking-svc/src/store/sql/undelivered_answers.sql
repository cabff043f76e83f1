SELECT show_id, proposal, accepted, booked_seats
FROM booking.answers
WHERE show_id > $1
ORDER BY show_id
LIMIT $2
