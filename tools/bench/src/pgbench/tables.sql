-- The usual booking schema, for the same number of shows and seats as the services sell.
-- Its seats get the same fillfactor as ours.
DROP SCHEMA IF EXISTS usual CASCADE;
CREATE SCHEMA usual;

CREATE TABLE usual.bookings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    show_id      integer NOT NULL,
    customer_id  text NOT NULL,
    status       text NOT NULL,
    total        bigint NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    confirmed_at timestamptz
);

CREATE TABLE usual.seats (
    show_id    integer NOT NULL,
    seat_no    integer NOT NULL,
    status     text NOT NULL DEFAULT 'AVAILABLE',
    booking_id bigint,
    PRIMARY KEY (show_id, seat_no)
) WITH (fillfactor = 70);

-- One counter of places that is never full, with room on its page for its versions, as ours.
CREATE TABLE usual.areas (
    show_id  integer PRIMARY KEY,
    capacity bigint NOT NULL,
    taken    bigint NOT NULL CHECK (taken BETWEEN 0 AND capacity)
) WITH (fillfactor = 20);

INSERT INTO usual.areas VALUES (1, 1000000000000, 0);
