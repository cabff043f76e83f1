//! Layouts: labels lead back to their seats, and what is wrong is named with its place.

use super::*;

#[test]
fn of_total_numbers_its_seats() {
    for total in [1, 7, SEATS_MAX] {
        let layout = SeatLayout::of_total(total).expect("a layout");
        assert_eq!(layout.seat_count(), total);
        assert_eq!(layout.position_of(&total.to_string()), Some(total - 1));
        assert_eq!(
            layout.seat(total - 1).map(|seat| seat.label()),
            Some(total.to_string())
        );
    }
}
