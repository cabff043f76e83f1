-- Text that people type, in one form: e-mail addresses, and names of shows in the search.

-- An address was kept in lower case, as it was typed otherwise. It is now kept in normalization
-- form C, with the domain in Unicode and without a dot at its end; see ARCHITECTURE.md. PostgreSQL
-- knows no internationalised domains, so an address whose domain was typed as "xn--…" stays as it
-- is: it is still found by its customer's id, and whoever books by that address is another
-- customer from now on.
--
-- Where several customers become one mailbox, the oldest has it. The others keep their spelling,
-- their ids and their bookings; nobody finds them by address any more, until UpdateCustomer gives
-- them another one.
WITH spelled AS (
    SELECT customer_id, email, rtrim(normalize(email, NFC), '.') AS form
    FROM booking.customers
    -- Once taken for an address.
    WHERE rtrim(email, '.') NOT LIKE '%@'
), first AS (
    -- Ids are of version 7: the lowest is the oldest. One that has the form already keeps it.
    SELECT DISTINCT ON (form) customer_id, email, form
    FROM spelled
    ORDER BY form, email <> form, customer_id
)
UPDATE booking.customers AS c
SET email = first.form, version = c.version + 1, updated_at = greatest(c.updated_at, clock_timestamp())
FROM first
WHERE c.customer_id = first.customer_id AND first.email <> first.form;

-- Bookings are found by the address that they were made for.
UPDATE booking.bookings
SET email = rtrim(normalize(email, NFC), '.')
WHERE email <> rtrim(normalize(email, NFC), '.') AND rtrim(email, '.') NOT LIKE '%@';

-- The service folds names itself: PostgreSQL's `lower` knows no letters but ASCII where the
-- database has the locale "C". A show of an earlier release is found by its name in the case in
-- which that locale left it, until it is next written.
ALTER TABLE catalog.shows ALTER COLUMN name_folded DROP EXPRESSION IF EXISTS;
ALTER TABLE catalog.shows ALTER COLUMN name_folded SET DEFAULT '';
UPDATE catalog.shows
SET name = normalize(name, NFC), venue = normalize(venue, NFC),
    name_folded = lower(normalize(name, NFKC))
WHERE name IS NOT NFC NORMALIZED OR venue IS NOT NFC NORMALIZED
    OR name_folded <> lower(normalize(name, NFKC));
