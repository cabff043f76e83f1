UPDATE booking.sales SET state = 'CANCELLED', revision = $2 WHERE show_id = $1 AND revision < $2
