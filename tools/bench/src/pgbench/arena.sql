-- The seats of an arena, the most wanted first: the table of a shop without Ticketing.
CREATE TABLE usual.arena (
    seat_no    integer PRIMARY KEY,
    -- The nearest is 1, and neighbours follow each other.
    place      integer NOT NULL,
    status     text NOT NULL DEFAULT 'AVAILABLE',
    booking_id bigint
) WITH (fillfactor = 70);

CREATE INDEX arena_available ON usual.arena (place) WHERE status = 'AVAILABLE';
