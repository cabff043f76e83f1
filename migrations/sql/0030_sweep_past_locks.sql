-- The sweep of stored rejections leaves alone what somebody has locked. To lock a row takes the right
-- to change one of its columns.
GRANT UPDATE (refused_at) ON booking.refusals TO booking_svc;
