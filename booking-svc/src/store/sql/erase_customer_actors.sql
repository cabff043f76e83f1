SELECT booking.erase_actors($1, $2, $3, $4)
