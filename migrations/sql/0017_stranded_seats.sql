-- What a choice of seats by label has left single, where the show's orphan rule asks.

-- The ordinals of those seats, ascending: two for each of the booking's own at the most; null if
-- there are none.
ALTER TABLE booking.bookings ADD COLUMN stranded integer[];

CREATE OR REPLACE FUNCTION booking.is_sound(b booking.bookings) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    broken text := CASE
        -- A booking's id begins with the 48-bit key of its show.
        WHEN substr(uuid_send(b.booking_id), 1, 6) <> substr(uuid_send(b.show_id), 1, 6)
            THEN 'booking_id_nests'
        WHEN b.version < 1 THEN 'bookings_version_check'
        WHEN num_nonnulls(b.customer_id, b.email) <> 1 THEN 'one_customer'
        WHEN char_length(b.customer_id) NOT BETWEEN 1 AND 128 THEN 'bookings_customer_id_check'
        WHEN char_length(b.email) NOT BETWEEN 3 AND 254 THEN 'bookings_email_check'
        WHEN cardinality(b.seat_ordinals) NOT BETWEEN CASE WHEN b.areas IS NULL THEN 1 ELSE 0 END AND 100
            OR cardinality(b.seat_prices) <> cardinality(b.seat_ordinals)
            THEN 'a_price_for_each_seat'
        WHEN cardinality(b.seat_tiers) <> cardinality(b.seat_ordinals) THEN 'a_tier_for_each_seat'
        WHEN b.total < 0 THEN 'bookings_total_check'
        WHEN char_length(b.currency) <> 3 THEN 'bookings_currency_check'
        -- The longest life of a hold, however often it is extended.
        WHEN b.expires_at NOT BETWEEN b.created_at + interval '10 s' AND b.created_at + interval '120 min'
            THEN 'hold_length'
        WHEN b.confirmed_at < b.created_at OR b.confirmed_at >= b.expires_at THEN 'confirmed_in_time'
        -- IS NOT TRUE: a comparison with a null is neither true nor false.
        WHEN CASE b.state
            WHEN 'PENDING' THEN num_nonnulls(b.confirmed_at, b.cancelled_at, b.failed_at) = 0
            WHEN 'CONFIRMED' THEN
                b.confirmed_at IS NOT NULL AND num_nonnulls(b.cancelled_at, b.failed_at) = 0
            WHEN 'CANCELLED' THEN
                b.cancelled_at >= coalesce(b.confirmed_at, b.created_at) AND b.failed_at IS NULL
            WHEN 'FAILED' THEN
                b.failed_at >= b.created_at AND num_nonnulls(b.confirmed_at, b.cancelled_at) = 0
        END IS NOT TRUE THEN 'state_agrees'
        WHEN (b.state = 'FAILED') <> (b.failure_reason IS NOT NULL) THEN 'failed_for_a_reason'
        WHEN b.failure_reason = 'EXPIRED' AND b.failed_at <> b.expires_at THEN 'expired_when_it_ended'
        -- What follows is about these alone; most bookings have none of them.
        WHEN num_nonnulls(b.cancel_reason, b.refund_due, b.released, b.payment_reference, b.stranded) = 0
            THEN NULL
        WHEN b.cancel_reason IS NOT NULL AND b.state <> 'CANCELLED' THEN 'cancelled_for_a_reason'
        WHEN b.released < 1 OR b.released IS NOT NULL AND b.confirmed_at IS NULL THEN 'released_after_a_sale'
        WHEN b.refund_due IS NOT NULL AND b.confirmed_at IS NULL
            OR b.state <> 'CANCELLED' AND b.refund_due IS DISTINCT FROM b.released
            THEN 'refunded_after_a_sale'
        WHEN b.refund_due NOT BETWEEN 1 AND b.total + coalesce(b.released, 0) THEN 'refund_within_total'
        WHEN b.cancel_reason = 'SHOW_CANCELLED' AND (
            b.confirmed_at IS NULL OR b.refund_due IS DISTINCT FROM nullif(b.total + coalesce(b.released, 0), 0)
        ) THEN 'refunded_whole'
        WHEN char_length(b.payment_reference) NOT BETWEEN 1 AND 128 THEN 'bookings_payment_reference_check'
        WHEN cardinality(b.stranded) NOT BETWEEN 1 AND 200 THEN 'bookings_stranded_check'
    END;
BEGIN
    IF broken IS NULL AND num_nonnulls(b.areas, b.places_held_until) > 0 THEN
        broken := booking.rule_of_places_broken_by(b);
    END IF;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'booking % breaks the rule %', b.booking_id, broken
            USING ERRCODE = 'check_violation', SCHEMA = 'booking', TABLE = 'bookings', CONSTRAINT = broken;
    END IF;
    RETURN true;
END
$$;

CREATE OR REPLACE VIEW booking.bookings_now AS
SELECT
    b.show_id,
    b.booking_id,
    CASE WHEN lapsed THEN 'FAILED' ELSE b.state END AS state,
    CASE WHEN lapsed THEN 'EXPIRED' ELSE b.failure_reason END AS failure_reason,
    b.version,
    b.customer_id,
    b.email,
    b.seat_ordinals,
    b.seat_prices,
    b.total,
    b.currency,
    b.created_at,
    b.expires_at,
    b.confirmed_at,
    b.cancelled_at,
    CASE WHEN lapsed THEN b.expires_at ELSE b.failed_at END AS failed_at,
    b.refund_due,
    b.cancel_reason,
    b.seat_tiers,
    b.released,
    b.payment_reference,
    b.areas,
    b.linked_customer_id,
    b.stranded
FROM booking.bookings AS b
CROSS JOIN LATERAL (
    SELECT b.state = 'PENDING' AND b.expires_at <= clock_timestamp() AS lapsed
) AS hold;
