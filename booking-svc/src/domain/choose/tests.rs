//! Halls are drawn as text, a line for each row: `.` is a free seat, `x` a sold one, `b` a blocked
//! one, `a` a free accessible one, `c` a free companion one, a blank an aisle, a line of dashes the
//! end of a section. `#` is chosen. The stage is above.

use model::{
    BestSeats, LayoutDescription, PriceDescription, PriceList, PriceTier, RowBlock, SeatLayout,
    Section, Series, ShowSeats,
};

use super::*;
use crate::domain::Withdrawn;

mod accessible;
mod best_seats;
mod brute_force;
mod companions;
mod orphans;
mod parties;
mod several;

/// A hall as it was drawn.
struct Drawn {
    drawing: String,
    layout: SeatLayout,
    hall: Hall,
    free: FreeSeats,
}

fn drawn(rows: &[&str]) -> Drawn {
    drawn_with(rows, BestSeats::Front)
}

fn drawn_with(rows: &[&str], best_seats: BestSeats) -> Drawn {
    let mut sections = vec![Vec::new()];
    let mut kinds = Vec::new();
    let mut names = (1..).map(|row| format!("R{row}"));
    for row in rows {
        if row.starts_with('-') {
            sections.push(Vec::new());
            continue;
        }
        let name = names.next().expect("another name");
        let mut first = 1;
        let runs = row.split(' ').map(|run| {
            let seats = (first..).zip(run.chars());
            kinds.extend(seats.map(|(at, kind)| (format!("{name}-{at}"), kind)));
            let next = first + u32::try_from(run.len()).expect("a short row");
            let numbers = Series::Numbers {
                first,
                last: next - 1,
                step: 1,
                skip: Vec::new(),
            };
            first = next;
            numbers
        });
        let runs = runs.collect();
        sections.last_mut().expect("a section").push(RowBlock {
            names: Some(Series::List(vec![name.as_str().into()])),
            runs,
            label_format: None,
        });
    }
    let labels = |wanted: char| {
        let of_kind = kinds.iter().filter(|(_, kind)| *kind == wanted);
        of_kind.map(|(label, _)| label.as_str().into()).collect()
    };
    let sections = (1..).zip(sections).map(|(at, rows)| Section {
        name: format!("S{at}").into(),
        deck: "".into(),
        origin: None,
        rows,
    });
    let layout = SeatLayout::new(LayoutDescription {
        sections: sections.collect(),
        best_seats,
        accessible_seats: labels('a'),
        companion_seats: labels('c'),
        blocked_seats: labels('b'),
        ..LayoutDescription::default()
    });
    let layout = layout.expect("a layout");
    let seats = ShowSeats::new(layout.clone());
    let mut free = FreeSeats::none(seats.ordinal_count());
    for (ordinal, (_, kind)) in (0..).zip(&kinds) {
        if *kind != 'x' {
            free.insert(ordinal);
        }
    }
    let hall = Hall::of(&seats, &prices(&layout), &Withdrawn::default());
    Drawn {
        drawing: rows.join("\n"),
        layout,
        hall,
        free,
    }
}

/// The first row of each section costs 30, the others 20.
fn prices(layout: &SeatLayout) -> PriceList {
    let first = |section: usize| {
        let row = layout.rows().find(|row| row.section == section);
        row.map(|row| model::RowRef {
            section: layout.sections()[section].name.clone(),
            row: row.name.into_owned().into(),
        })
    };
    let front = PriceTier {
        name: "Front".into(),
        price: 30,
        rows: (0..layout.sections().len()).filter_map(first).collect(),
        ..PriceTier::default()
    };
    let others = PriceTier {
        name: "Others".into(),
        price: 20,
        ..PriceTier::default()
    };
    let description = PriceDescription {
        currency: "EUR".parse().expect("a currency"),
        tiers: vec![front, others],
    };
    PriceList::new(description, layout).expect("prices")
}

impl Drawn {
    /// The hall with the chosen seats, line by line.
    fn with(&self, chosen: &[u32]) -> Vec<String> {
        let mut ordinal = 0;
        let marked = self.drawing.chars().map(|seat| match seat {
            ' ' | '-' | '\n' => seat,
            _ => {
                ordinal += 1;
                if chosen.contains(&(ordinal - 1)) {
                    '#'
                } else {
                    seat
                }
            }
        });
        let marked: String = marked.collect();
        marked.lines().map(ToOwned::to_owned).collect()
    }

    #[track_caller]
    fn gives(&self, wish: &Wish, expected: &[&str]) {
        let chosen = choose(&self.hall, &self.free, wish);
        let chosen = chosen.unwrap_or_else(|error| panic!("{wish:?}: {error}"));
        assert_eq!(self.with(&chosen), expected, "{wish:?}");
        assert!(chosen.is_sorted(), "{chosen:?}");
    }

    #[track_caller]
    fn refuses(&self, wish: &Wish, largest_party: u8) {
        let chosen = choose(&self.hall, &self.free, wish);
        assert_eq!(chosen, Err(NoChoice { largest_party }), "{wish:?}");
    }
}

/// A party of this size that takes any seats.
fn party(count: u8) -> Wish {
    Wish {
        count: count.try_into().expect("not 0"),
        accessible: 0,
        section: None,
        tiers: Vec::new(),
        price_max: None,
        seating: Seating::Best,
    }
}

fn together(count: u8) -> Wish {
    Wish {
        seating: Seating::Together,
        ..party(count)
    }
}

fn anywhere(count: u8) -> Wish {
    Wish {
        seating: Seating::Anywhere,
        ..party(count)
    }
}
