//! How good a seat is: how far it is from where its layout has the best ones.

use model::{BestSeats, Point, SeatLayout};

/// How good a seat is, to compare it with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodness {
    /// To be nearer to this point.
    Near(Point),
    /// To be earlier in the order of the layout.
    First,
}

impl Goodness {
    pub(super) fn of(layout: &SeatLayout) -> Self {
        match layout.best_seats() {
            BestSeats::Front => Self::Near(layout.focal_point()),
            BestSeats::Middle => Self::Near(Point {
                x: layout.focal_point().x,
                y: two_thirds_back(layout),
            }),
            BestSeats::First => Self::First,
        }
    }

    /// The lower, the better: the square of the distance, or the place.
    pub(super) fn distance(self, place: u32, point: Point) -> u64 {
        let square = |from: i32, to: i32| u64::from(from.abs_diff(to)).pow(2);
        match self {
            Self::Near(best) => square(point.x, best.x) + square(point.y, best.y),
            Self::First => place.into(),
        }
    }
}

/// Two thirds of the way from the foremost seat to the rearmost, as they are drawn.
fn two_thirds_back(layout: &SeatLayout) -> i32 {
    let rows = || (0..layout.seat_count()).filter_map(|at| Some(layout.point(at)?.y));
    let front = rows().min().unwrap_or_default();
    let back = rows().max().unwrap_or_default();
    front + (back - front) * 2 / 3
}
