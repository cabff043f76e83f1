//! The names that a series describes.

use super::*;

fn names(series: Series) -> Vec<String> {
    labels(&valid(one_section(vec![rows(None, vec![series])])))
}

#[test]
fn numbers_ascend_descend_step_and_skip() {
    let of = |first, last, step, skip: &[u32]| {
        names(Series::Numbers {
            first,
            last,
            step,
            skip: skip.to_vec(),
        })
        .join(" ")
    };
    assert_eq!(of(0, 3, 1, &[]), "0 1 2 3");
    assert_eq!(of(7, 7, 9, &[]), "7");
    assert_eq!(of(9, 0, 3, &[]), "9 6 3 0");
    assert_eq!(of(1, 8, 2, &[]), "1 3 5 7");
    assert_eq!(of(10, 3, 2, &[]), "10 8 6 4");
    assert_eq!(of(1, 8, 1, &[1, 4, 3, 8, 4, 99]), "2 5 6 7");
    assert_eq!(of(8, 1, 1, &[1, 4, 3, 8]), "7 6 5 2");
    assert_eq!(of(2, 8, 2, &[3, 6, 9, 10]), "2 4 8");
    assert_eq!(of(99_998, NUMBER_MAX, 1, &[]), "99998 99999 100000");
}

#[test]
fn letters_count_as_the_columns_of_a_spreadsheet() {
    let of = |first: &str, last: &str, skip: &[&str]| {
        names(Series::Letters {
            first: first.into(),
            last: last.into(),
            skip: skip.iter().map(|&letters| letters.into()).collect(),
        })
        .join(" ")
    };
    assert_eq!(of("A", "D", &[]), "A B C D");
    assert_eq!(of("y", "ac", &[]), "y z aa ab ac");
    assert_eq!(of("ZY", "AAB", &[]), "ZY ZZ AAA AAB");
    assert_eq!(of("AB", "Y", &[]), "AB AA Z Y");
    assert_eq!(of("G", "P", &["I", "O", "Z"]), "G H J K L M N P");
    let all = names(letters("A", "ZZZ"));
    assert_eq!(all.len(), 26 + 26 * 26 + 26 * 26 * 26);
    assert_eq!(all.last().map(String::as_str), Some("ZZZ"));
}

#[test]
fn times_are_the_slots_of_a_day() {
    let of = |first: &str, last: &str, step_minutes| {
        names(Series::Times {
            first: first.into(),
            last: last.into(),
            step_minutes,
        })
        .join(" ")
    };
    assert_eq!(of("09:00", "10:00", 20), "09:00 09:20 09:40 10:00");
    assert_eq!(of("09:50", "10:29", 15), "09:50 10:05 10:20");
    assert_eq!(of("00:00", "23:59", 1440), "00:00");
    assert_eq!(
        names(Series::Times {
            first: "00:00".into(),
            last: "23:59".into(),
            step_minutes: 1
        })
        .len(),
        1440
    );
}

#[test]
fn labels_follow_their_format() {
    let block = |format: Option<&str>, names: Option<Series>| {
        let rows = rows(names, vec![list(&["1", "ü"])]);
        let rows = match format {
            Some(format) => formatted(format, rows),
            None => rows,
        };
        labels(&valid(one_section(vec![rows]))).join("|")
    };
    let row = || Some(list(&["R 2"]));
    assert_eq!(block(None, row()), "R 2-1|R 2-ü");
    assert_eq!(block(None, None), "1|ü");
    assert_eq!(block(Some("{seat}"), row()), "1|ü");
    assert_eq!(
        block(Some("{section}: {seat}{row}"), row()),
        "Stalls: 1R 2|Stalls: üR 2"
    );
    assert_eq!(block(Some("{seat}.{seat}"), None), "1.1|ü.ü");
    assert_eq!(block(Some("Sitz {seat}!"), None), "Sitz 1!|Sitz ü!");
}
