-- The states of a show's life. A version of its own: a value cannot be used in the transaction
-- that adds it.

ALTER TYPE catalog.show_state ADD VALUE 'DRAFT' BEFORE 'ON_SALE';
ALTER TYPE catalog.show_state ADD VALUE 'PAUSED' AFTER 'ON_SALE';
ALTER TYPE catalog.show_state ADD VALUE 'CLOSED' AFTER 'PAUSED';
