-- Whoever follows the feed moves the cursor before anything else, so that nothing the feed tells
-- is written beside this transaction.
SELECT epoch FROM booking.feed_cursor FOR SHARE
