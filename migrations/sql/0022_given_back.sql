-- Grows whenever places of an area are given back, so that whoever has waited for its counter's lock can
-- tell whether any were meanwhile. By itself if fewer are taken than before, whoever writes that.
ALTER TABLE booking.show_areas ADD COLUMN given_back bigint NOT NULL DEFAULT 0;

CREATE FUNCTION booking.note_given_back() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.given_back := OLD.given_back + OLD.taken - NEW.taken;
    RETURN NEW;
END
$$;

CREATE TRIGGER places_given_back BEFORE UPDATE OF taken ON booking.show_areas
FOR EACH ROW WHEN (NEW.taken < OLD.taken) EXECUTE FUNCTION booking.note_given_back();
