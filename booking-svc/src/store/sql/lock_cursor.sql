-- A feed consumer moves the cursor before anything else, so that it writes nothing while this
-- transaction runs.
SELECT epoch FROM booking.feed_cursor FOR SHARE
