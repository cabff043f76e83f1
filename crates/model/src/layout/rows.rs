//! The index from positions to rows and runs: a block of rows costs the same whether it has
//! one row or a thousand.

use std::ops::Range;

use super::series::Sequence;

/// Where a block of rows lies among the seats.
#[derive(Debug)]
pub(super) struct Block {
    /// Its section's place in the layout.
    pub(super) section: usize,
    /// Its place in its section.
    pub(super) index: usize,
    pub(super) first_position: u32,
    /// How many rows its section has before it.
    pub(super) rows_before: u32,
    /// Of its rows.
    pub(super) names: Sequence,
    pub(super) runs: Box<[Run]>,
    pub(super) seats_per_row: u32,
}

/// Where a run lies in its row.
#[derive(Debug)]
pub(super) struct Run {
    /// How many seats the row has before it.
    pub(super) seats_before: u32,
    pub(super) seats: Sequence,
}

/// Where a seat is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat<'a> {
    pub(super) position: u32,
    pub(super) block: &'a Block,
    /// Its row's place in the block.
    pub(super) row: u32,
    pub(super) run: &'a Run,
    pub(super) run_index: usize,
    /// Its place in the run.
    pub(super) in_run: u32,
}

/// All blocks, in the order of positions.
#[derive(Debug, Default)]
pub(super) struct Blocks(Vec<Block>);

impl Block {
    fn end(&self) -> u32 {
        self.first_position + self.names.count * self.seats_per_row
    }

    /// The positions of one of its rows.
    pub(super) fn row(&self, row: u32) -> Range<u32> {
        let first = self.first_position + row * self.seats_per_row;
        first..first + self.seats_per_row
    }
}

impl Seat<'_> {
    /// Its place in its row.
    pub(super) fn in_row(&self) -> u32 {
        self.run.seats_before + self.in_run
    }

    /// The positions of the seats that it has an unbroken row of neighbours with.
    pub(super) fn neighbours(&self) -> Range<u32> {
        let first = self.position - self.in_run;
        first..first + self.run.seats.count
    }
}

impl Blocks {
    /// Adds a block after all others.
    pub(super) fn push(
        &mut self,
        section: usize,
        index: usize,
        names: Sequence,
        seats: Vec<Sequence>,
    ) {
        let mut seats_per_row = 0;
        let runs = seats.into_iter().map(|seats| {
            let seats_before = seats_per_row;
            seats_per_row += seats.count;
            Run {
                seats_before,
                seats,
            }
        });
        let runs = runs.collect();
        let before = self.0.last();
        let block = Block {
            section,
            index,
            first_position: self.seat_count(),
            rows_before: before
                .filter(|before| before.section == section)
                .map_or(0, |before| before.rows_before + before.names.count),
            names,
            runs,
            seats_per_row,
        };
        self.0.push(block);
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Block> {
        self.0.iter()
    }

    pub(super) fn seat_count(&self) -> u32 {
        self.0.last().map_or(0, Block::end)
    }

    pub(super) fn seat(&self, position: u32) -> Option<Seat<'_>> {
        let at = self
            .0
            .partition_point(|block| block.first_position <= position);
        let block = self.0.get(at.checked_sub(1)?)?;
        if position >= block.end() {
            return None;
        }
        let offset = position - block.first_position;
        let in_row = offset % block.seats_per_row;
        let at = block.runs.partition_point(|run| run.seats_before <= in_row);
        let run_index = at.checked_sub(1)?;
        let run = block.runs.get(run_index)?;
        Some(Seat {
            position,
            block,
            row: offset / block.seats_per_row,
            run,
            run_index,
            in_run: in_row - run.seats_before,
        })
    }

    /// Every seat, in the order of positions.
    pub(super) fn seats(&self) -> impl Iterator<Item = Seat<'_>> {
        self.0.iter().flat_map(|block| {
            (0..block.names.count).flat_map(move |row| {
                block
                    .runs
                    .iter()
                    .enumerate()
                    .flat_map(move |(run_index, run)| {
                        let first = block.row(row).start + run.seats_before;
                        (0..run.seats.count).map(move |in_run| Seat {
                            position: first + in_run,
                            block,
                            row,
                            run,
                            run_index,
                            in_run,
                        })
                    })
            })
        })
    }

    /// The block of a section's first row.
    pub(super) fn first_of(&self, section: usize) -> Option<&Block> {
        self.0
            .get(self.0.partition_point(|block| block.section < section))
    }

    /// The positions of a section's seats.
    pub(super) fn of_section(&self, section: usize) -> Range<u32> {
        let from = self.0.partition_point(|block| block.section < section);
        let to = self.0.partition_point(|block| block.section <= section);
        match self.0.get(from..to) {
            Some([first, .., last]) => first.first_position..last.end(),
            Some([only]) => only.first_position..only.end(),
            _ => 0..0,
        }
    }

    /// Bytes on the heap.
    pub(super) fn weight(&self) -> usize {
        let runs = self.0.iter().flat_map(|block| &block.runs);
        let names = self.0.iter().map(|block| &block.names);
        let gaps = runs
            .clone()
            .map(|run| &run.seats)
            .chain(names)
            .map(Sequence::weight);
        size_of_val(&*self.0) + runs.count() * size_of::<Run>() + gaps.sum::<usize>()
    }
}
