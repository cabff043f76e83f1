UPDATE booking.sales SET proposal = $2, withdrawn = $3, off_sale = $4 WHERE show_id = $1
