//! The default positions of seats and areas on the drawing, and the focal point.

use super::description::{LayoutDescription, Point};
use super::rows::{Block, Blocks, Seat};

/// From one seat to the next, and from one row to the next.
const PITCH: i32 = 100;
/// The width of an aisle.
const AISLE: i32 = 100;
/// From the last row of a section to the first of the next.
const GAP: i32 = 200;

#[derive(Debug)]
pub(super) struct Geometry {
    /// The middle of each section's first row.
    fronts: Box<[Point]>,
    /// The middle of each area.
    areas: Box<[Point]>,
    pub(super) focal_point: Point,
}

impl Geometry {
    pub(super) fn of(description: &LayoutDescription, blocks: &Blocks) -> Self {
        let mut rows = vec![0; description.sections.len()];
        for block in blocks.iter() {
            rows[block.section] += signed(block.names.count);
        }
        let mut y = 0;
        let mut behind = |given: Option<Point>, rows: i32| {
            given.unwrap_or_else(|| {
                let point = Point { x: 0, y };
                y += (rows - 1) * PITCH + GAP;
                point
            })
        };
        let sections = description.sections.iter().zip(rows).enumerate();
        let fronts = sections.map(|(s, (section, rows))| {
            let middle = section.origin.map(|first| Point {
                x: first.x + blocks.first_of(s).map_or(0, width) / 2,
                y: first.y,
            });
            behind(middle, rows)
        });
        let fronts = fronts.collect();
        let areas = description.areas.iter();
        let areas = areas.map(|area| behind(area.origin, 1)).collect();
        let mut geometry = Self {
            fronts,
            areas,
            focal_point: Point { x: 0, y: 0 },
        };
        geometry.focal_point = match description.focal_point {
            Some(point) => point,
            None => geometry.before_the_front(description, blocks),
        };
        geometry
    }

    /// The position of a seat, as described or else by its row.
    pub(super) fn of_seat(&self, description: &LayoutDescription, seat: &Seat<'_>) -> Point {
        let Some(given) = &description.coordinates else {
            let aisles = i32::try_from(seat.run_index).unwrap_or_default();
            return self.in_row(seat.block, seat.row, seat.in_row(), aisles);
        };
        let at = seat.position as usize;
        let of = |coordinates: &[i32]| coordinates.get(at).copied().unwrap_or_default();
        Point {
            x: of(&given.x),
            y: of(&given.y),
        }
    }

    pub(super) fn of_area(&self, index: usize) -> Option<Point> {
        self.areas.get(index).copied()
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        size_of_val(&*self.fronts) + size_of_val(&*self.areas)
    }

    fn in_row(&self, block: &Block, row: u32, seats_before: u32, aisles_before: i32) -> Point {
        let front = self.fronts.get(block.section).copied();
        let front = front.unwrap_or(Point { x: 0, y: 0 });
        Point {
            x: front.x - width(block) / 2 + signed(seats_before) * PITCH + aisles_before * AISLE,
            y: front.y + signed(block.rows_before + row) * PITCH,
        }
    }

    /// The middle of all there is from left to right, a seat before its foremost. Of the
    /// seats alone, if there are any.
    fn before_the_front(&self, description: &LayoutDescription, blocks: &Blocks) -> Point {
        let mut bounds = Bounds::default();
        if let Some(given) = &description.coordinates {
            for (&x, &y) in given.x.iter().zip(&given.y) {
                bounds.add(Point { x, y });
            }
        } else {
            for block in blocks.iter() {
                let first = self.in_row(block, 0, 0, 0);
                bounds.add(first);
                bounds.add(Point {
                    x: first.x + width(block),
                    y: first.y,
                });
            }
        }
        if blocks.seat_count() == 0 {
            self.areas.iter().for_each(|area| bounds.add(*area));
        }
        Point {
            x: bounds.left.midpoint(bounds.right),
            y: bounds.front - PITCH,
        }
    }
}

struct Bounds {
    left: i32,
    right: i32,
    front: i32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            left: i32::MAX,
            right: i32::MIN,
            front: i32::MAX,
        }
    }
}

impl Bounds {
    fn add(&mut self, point: Point) {
        self.left = self.left.min(point.x);
        self.right = self.right.max(point.x);
        self.front = self.front.min(point.y);
    }
}

/// From the first seat of a row to the last.
fn width(block: &Block) -> i32 {
    let aisles = i32::try_from(block.runs.len()).unwrap_or_default() - 1;
    (signed(block.seats_per_row) - 1) * PITCH + aisles * AISLE
}

/// Of a count of seats or rows, which is far below the highest `i32`.
fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
