UPDATE booking.sales
SET state = 'CANCELLED', revision = $2, proposal = NULL, withdrawn = '{}', off_sale = false
WHERE show_id = $1 AND revision < $2
