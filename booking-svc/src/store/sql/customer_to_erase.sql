-- Finds erased ones too: what is left of an erasure is found by the customer.
SELECT email, erased_as
FROM booking.customers
WHERE customer_id = $1
FOR UPDATE
