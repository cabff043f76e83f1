//! Labels: made from a format, and compared with a text without making them.

use std::fmt::{self, Write};

use super::description::{LABEL_FORMAT_CHARS_MAX, RowBlock, Section};
use super::rows::Seat;
use crate::problem::check_name;

/// A part of a format.
enum Piece<'a> {
    Text(&'a str),
    Section,
    Row,
    Seat,
}

/// Writes a seat's label.
pub(super) fn write(
    section: &Section,
    rows: &RowBlock,
    seat: &Seat<'_>,
    out: &mut impl Write,
) -> fmt::Result {
    let write_seat = |out: &mut _| {
        let series = rows.runs.get(seat.run_index).ok_or(fmt::Error)?;
        seat.run.seats.write(series, seat.in_run, out)
    };
    let Some(format) = &rows.label_format else {
        if rows.names.is_some() {
            write_row_name(rows, seat, out)?;
            out.write_char('-')?;
        }
        return write_seat(out);
    };
    for piece in pieces(format) {
        match piece.map_err(|_| fmt::Error)? {
            Piece::Text(text) => out.write_str(text)?,
            Piece::Section => out.write_str(&section.name)?,
            Piece::Row => write_row_name(rows, seat, out)?,
            Piece::Seat => write_seat(out)?,
        }
    }
    Ok(())
}

/// Writes the name of a seat's row; nothing if it has none.
pub(super) fn write_row_name(
    rows: &RowBlock,
    seat: &Seat<'_>,
    out: &mut impl Write,
) -> fmt::Result {
    match &rows.names {
        Some(names) => seat.block.names.write(names, seat.row, out),
        None => Ok(()),
    }
}

/// Whether `write` writes exactly `text`.
pub(super) fn writes(text: &str, write: impl FnOnce(&mut Rest<'_>) -> fmt::Result) -> bool {
    let mut rest = Rest(text);
    write(&mut rest).is_ok() && rest.0.is_empty()
}

/// The rest of an expected text; writing anything else fails.
pub(super) struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Checks the format of a row's labels.
pub(super) fn check_format(format: &str, row_has_name: bool) -> Result<(), String> {
    check_name(format, 1, LABEL_FORMAT_CHARS_MAX)?;
    let mut has_seat = false;
    for piece in pieces(format) {
        match piece? {
            Piece::Text(_) | Piece::Section => {}
            Piece::Row if row_has_name => {}
            Piece::Row => return Err("has {row}, but the row has no name".to_owned()),
            Piece::Seat => has_seat = true,
        }
    }
    if has_seat {
        Ok(())
    } else {
        Err("must have the placeholder {seat}".to_owned())
    }
}

fn pieces(format: &str) -> impl Iterator<Item = Result<Piece<'_>, String>> {
    let mut rest = format;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(length @ 1..) = rest.find(['{', '}']).or(Some(rest.len())) {
            let (text, after) = rest.split_at(length);
            rest = after;
            return Some(Ok(Piece::Text(text)));
        }
        let (placeholder, after) = match rest.find('}') {
            Some(end @ 1..) => rest.split_at(end + 1),
            _ => (rest, ""),
        };
        rest = after;
        Some(match placeholder {
            "{section}" => Ok(Piece::Section),
            "{row}" => Ok(Piece::Row),
            "{seat}" => Ok(Piece::Seat),
            _ => Err(format!(
                "has {placeholder:?}; the placeholders are {{section}}, {{row}} and {{seat}}"
            )),
        })
    })
}
