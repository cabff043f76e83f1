//! A hall as a drawing, and a choice in words.

use std::fmt::Write as _;

use booking_svc::domain::choose::FreeSeats;
use model::{Point, SeatLayout, ShowSeats};

const COLOURS: [&str; 10] = [
    "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#e377c2", "#17becf", "#8c564b",
    "#bcbd22", "#000080",
];

/// The seats of a hall in its first layout, and who has chosen which.
pub(crate) struct Drawing {
    seats: Vec<Seat>,
    parties: usize,
    focal: Point,
}

struct Seat {
    at: Point,
    label: String,
    colour: &'static str,
    /// How many are seated with who sits there; none: nobody chose it.
    party: Option<u8>,
}

impl Drawing {
    pub(crate) fn of(layout: &SeatLayout, free: &FreeSeats) -> Self {
        let seats = (0..layout.seat_count()).filter_map(|at| layout.seat(at));
        let seats = seats.map(|seat| Seat {
            at: seat.point(),
            label: seat.label(),
            colour: match free.contains(seat.position()) {
                false => "#e4e4e4",
                true if seat.is_accessible() => "#8fd0ff",
                true if seat.is_companion() => "#ffe28f",
                true => "#9a9a9a",
            },
            party: None,
        });
        Self {
            seats: seats.collect(),
            parties: 0,
            focal: layout.focal_point(),
        }
    }

    /// Marks what was chosen for a party.
    pub(crate) fn add(&mut self, party: u8, chosen: &[u32]) {
        let colour = COLOURS[self.parties % COLOURS.len()];
        self.parties += 1;
        for ordinal in chosen {
            if let Some(seat) = self.seats.get_mut(*ordinal as usize) {
                seat.colour = colour;
                seat.party = Some(party);
            }
        }
    }

    /// The drawing: sold seats light, free ones dark, chosen ones in a party's colour and with its
    /// size written in them, the focal point black.
    pub(crate) fn to_svg(&self) -> String {
        let points = || self.seats.iter().map(|seat| seat.at).chain([self.focal]);
        let left = points().map(|point| point.x).min().unwrap_or(0) - 200;
        let top = points().map(|point| point.y).min().unwrap_or(0) - 200;
        let width = points().map(|point| point.x).max().unwrap_or(0) + 200 - left;
        let height = points().map(|point| point.y).max().unwrap_or(0) + 200 - top;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{left} {top} {width} {height}\" \
             width=\"{}\" height=\"{}\">\n\
             <rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
             <circle cx=\"{}\" cy=\"{}\" r=\"120\" fill=\"black\"/>\n",
            width / 10,
            height / 10,
            self.focal.x,
            self.focal.y
        );
        for Seat {
            at,
            label,
            colour,
            party,
        } in &self.seats
        {
            let Point { x, y } = at;
            let size = party.map_or(40, |_| 50);
            // Writing to a text cannot fail.
            let _ = writeln!(
                svg,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{colour}\"><title>{label}</title></rect>",
                x - size,
                y - size,
                2 * size,
                2 * size,
            );
            if let Some(party) = party {
                let _ = writeln!(
                    svg,
                    "<text x=\"{x}\" y=\"{}\" font-size=\"60\" text-anchor=\"middle\" fill=\"white\">{party}</text>",
                    y + 22
                );
            }
        }
        svg + "</svg>\n"
    }
}

/// The labels of a choice, neighbours shortened: "104-2-3…6, 104-3-1".
pub(crate) fn in_words(seats: &ShowSeats, chosen: &[u32]) -> String {
    let layout = seats.layout();
    let is_next = |a: &u32, b: &u32| *b == a + 1 && layout.run_of(*a).contains(b);
    let label = |at: u32| layout.seat(at).map(|seat| seat.label()).unwrap_or_default();
    let groups = chosen.chunk_by(is_next).map(|group| match group {
        [first, .., _] => format!("{} and {} more", label(*first), group.len() - 1),
        _ => label(group[0]),
    });
    groups.collect::<Vec<_>>().join(", ")
}
