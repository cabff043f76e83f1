-- Appended to SELECT and booking_columns.sql.
-- Runs after the locks of the quota holders: nobody adds to their places now. $1 to $4: the quota
-- holders, one of the last three set for each. Plain comparisons: the parts of a LATERAL cannot
-- be the outer side of a join.
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
    AS holder (show_id, linked_customer_id, customer_id, email)
CROSS JOIN LATERAL (
    SELECT *
    FROM booking.bookings AS linked
    WHERE linked.linked_customer_id = holder.linked_customer_id
        AND linked.show_id = holder.show_id
    UNION ALL
    SELECT *
    FROM booking.bookings AS own
    WHERE own.customer_id = holder.customer_id
        AND own.show_id = holder.show_id AND own.linked_customer_id IS NULL
    UNION ALL
    SELECT *
    FROM booking.bookings AS own
    WHERE own.email = holder.email
        AND own.show_id = holder.show_id AND own.linked_customer_id IS NULL
) AS b
WHERE b.state IN ('PENDING', 'CONFIRMED')
