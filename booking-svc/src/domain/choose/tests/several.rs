//! Several choices at once.

use super::*;

fn chosen(hall: &Drawn, wishes: &[Wish]) -> Result<Vec<String>, Unmet> {
    let all = choose_all(&hall.hall, hall.free.clone(), wishes)?;
    Ok(hall.with(&all))
}

#[test]
fn they_get_different_seats_and_the_larger_party_is_seated_first() {
    let hall = drawn(&["x...x", "....."]);
    let all = chosen(&hall, &[party(2), party(3)]);
    assert_eq!(all, Ok(vec!["x###x".to_owned(), "##...".to_owned()]));
}

#[test]
fn choices_with_more_requirements_are_met_first() {
    let hall = drawn(&["..", "-", ".."]);
    let back = Wish {
        section: Some(1),
        ..party(1)
    };
    let rest = chosen(&hall, &[anywhere(3), back.clone()]);
    assert_eq!(rest, Ok(["##", "-", "##"].map(str::to_owned).to_vec()));
    let unmet = Unmet {
        wish: 0,
        largest_party: 3,
    };
    assert_eq!(chosen(&hall, &[anywhere(4), back]), Err(unmet));
}
