-- Schema booking, fifth part: erasing a person. What names a person is replaced by a tombstone;
-- bookings, totals and the log stay. docs/customers-and-quotas.md says what is erased, and what is not.


-- A tombstone is "erased-" and a random UUID, as an address below .invalid, which nobody can have
-- (RFC 2606). It is not derived from what it replaces: a hash of an address can be found by trying
-- addresses.

ALTER TABLE booking.customers
    ADD COLUMN erased_as uuid,
    -- Whatever else writes the row cannot bring a person back.
    ADD CONSTRAINT erased_for_good CHECK (
        erased_as IS NULL
        OR email = 'erased-' || erased_as::text || '@erased.invalid'
            AND display_name = '' AND phone = '' AND external_reference = ''
    );
COMMENT ON COLUMN booking.customers.erased_as IS
    'The UUID of the tombstone that replaced what named this customer. Null unless it was erased.';

CREATE INDEX customer_requests_by_customer
    ON booking.customer_requests ((result ->> 'customer_id'));
COMMENT ON INDEX booking.customer_requests_by_customer IS
    'For an erasure: the stored results that show the customer.';

CREATE TABLE booking.erasures (
    tombstone          uuid PRIMARY KEY,
    customer_id        text CHECK (char_length(customer_id) BETWEEN 1 AND 128),
    email              text CHECK (char_length(email) BETWEEN 3 AND 254),
    linked_customer_id uuid,
    begun_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT of_somebody CHECK (num_nonnulls(customer_id, email, linked_customer_id) > 0)
);
COMMENT ON TABLE booking.erasures IS
    'The erasures that are not complete, so that a repeat of the call goes on with the same tombstone. '
    'The row is deleted when the erasure is complete: it names the person.';
COMMENT ON COLUMN booking.erasures.tombstone IS 'What replaces the person in bookings and the log.';
COMMENT ON COLUMN booking.erasures.customer_id IS
    'The customer_id of the bookings to erase, if it was erased by an id.';
COMMENT ON COLUMN booking.erasures.email IS 'The address to erase, if one is known.';
COMMENT ON COLUMN booking.erasures.linked_customer_id IS
    'The row of customers, if there is one. Its bookings are erased, whatever names them.';
COMMENT ON COLUMN booking.erasures.begun_at IS
    'By the database''s clock. Bookings that are made later stay as they are.';

CREATE UNIQUE INDEX erasures_by_customer ON booking.erasures (customer_id);
COMMENT ON INDEX booking.erasures_by_customer IS 'One erasure of an id at a time.';
CREATE UNIQUE INDEX erasures_by_email ON booking.erasures (email);
COMMENT ON INDEX booking.erasures_by_email IS 'One erasure of an address at a time.';
CREATE UNIQUE INDEX erasures_by_linked_customer ON booking.erasures (linked_customer_id);
COMMENT ON INDEX booking.erasures_by_linked_customer IS 'One erasure of a customer at a time.';


-- The log is append only, and no role may change it. An erasure has to: the actor of an event may be
-- the person. So this function runs with the rights of the schema's owner, and can do only this: put a
-- tombstone in place of an actor's name, in the log of bookings that have that tombstone already.
-- The search path is fixed, so that a caller cannot make it use other tables or operators.
CREATE FUNCTION booking.erase_actors(
    show_ids uuid[], booking_ids uuid[], names text[], tombstone uuid
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    erased text := 'erased-' || tombstone::text;
    changed bigint;
BEGIN
    UPDATE booking.transitions AS t
    SET actor = erased
    FROM unnest(show_ids, booking_ids) AS wanted (show_id, booking_id)
    WHERE t.show_id = ANY (ARRAY[wanted.show_id]) AND t.booking_id = wanted.booking_id
        AND t.actor NOT IN (erased, 'booking-svc', 'expiry-worker')
        -- An actor is a name, or a name and what it acted by: "ann (web-shop)". A long one is cut, and
        -- a name that could be read as another's ends in "…" and a hash.
        AND EXISTS (
            SELECT
            FROM unnest(names) AS person (name)
            WHERE t.actor = name OR starts_with(t.actor, name || ' (') OR starts_with(t.actor, name || '…')
                OR char_length(name) > 64 AND starts_with(t.actor, left(name, 64))
        )
        AND (
            SELECT coalesce(b.customer_id, b.email) IN (erased, erased || '@erased.invalid')
            FROM booking.bookings AS b
            WHERE b.show_id = wanted.show_id AND b.booking_id = wanted.booking_id
        );
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
COMMENT ON FUNCTION booking.erase_actors(uuid[], uuid[], text[], uuid) IS
    'Puts a tombstone in place of a person''s name as the actor of events, in the log of bookings '
    'that have that tombstone already. The only way to change the log.';
REVOKE ALL ON FUNCTION booking.erase_actors(uuid[], uuid[], text[], uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION booking.erase_actors(uuid[], uuid[], text[], uuid) TO booking_svc;

GRANT SELECT, INSERT, DELETE ON booking.erasures TO booking_svc;
GRANT UPDATE (erased_as) ON booking.customers TO booking_svc;
