//! Accessible seats and those for companions.

use super::*;

fn with_accessible(count: u8, accessible: u8) -> Wish {
    Wish {
        accessible,
        ..party(count)
    }
}

#[test]
fn accessible_seats_go_only_to_parties_that_ask() {
    let hall = drawn(&["aaaa", "...."]);
    hall.gives(&party(2), &["aaaa", "##.."]);
    hall.refuses(&party(5), 4);
    hall.refuses(&anywhere(5), 4);
    drawn(&["..a.."]).gives(&party(4), &["##a##"]);
}

#[test]
fn as_many_as_were_asked_for_and_not_one_more() {
    let hall = drawn(&["xxaacxx", "......."]);
    hall.gives(&with_accessible(2, 1), &["xxa##xx", "......."]);
    hall.gives(&with_accessible(2, 2), &["xx##cxx", "......."]);
    hall.gives(&with_accessible(3, 2), &["xx###xx", "......."]);
    hall.gives(&with_accessible(1, 1), &["xx#acxx", "......."]);
    drawn(&["xaaccx"]).gives(&with_accessible(2, 1), &["xa##cx"]);
}

#[test]
fn companion_seats_are_kept_until_the_wish_cannot_be_met_without() {
    let hall = drawn(&["xaccx", "x..x."]);
    hall.gives(&party(2), &["xaccx", "x##x."]);
    hall.gives(&party(3), &["xaccx", "x##x#"]);
    hall.gives(&party(4), &["xa##x", "x##x."]);
    hall.gives(&together(2), &["xaccx", "x##x."]);
    hall.refuses(&together(3), 2);
    hall.refuses(&party(6), 5);
    drawn(&["accc"]).gives(&together(3), &["a###"]);
}

#[test]
fn a_party_with_an_accessible_seat_is_split_too() {
    let pairs = drawn(&["acxac", "..x.."]);
    pairs.gives(&with_accessible(4, 1), &["##xac", "##x.."]);
    pairs.gives(&with_accessible(4, 2), &["##x##", "..x.."]);
    let hall = drawn(&["axcax", "..x.."]);
    hall.gives(&with_accessible(2, 2), &["#xc#x", "..x.."]);
    drawn(&["xa.ax"]).gives(&with_accessible(2, 2), &["x#.#x"]);
    // The first section has larger groups, but of accessible seats.
    let sections = drawn(&["aaaax..", "-", "a.x..x.."]);
    sections.gives(&with_accessible(6, 1), &["aaaax..", "-", "##x##x##"]);
    // Three, one and one would be nearer, but would leave two alone.
    drawn(&["a.x..axa."]).gives(&with_accessible(5, 1), &["a#x##ax##"]);
    hall.refuses(&with_accessible(3, 3), 0);
}

#[test]
fn the_largest_party_has_as_many_accessible_seats() {
    let hall = drawn(&["a..xa.a..", "x.x.x.x.x"]);
    let wish = Wish {
        accessible: 1,
        ..together(7)
    };
    hall.refuses(&wish, 4);
    hall.refuses(&with_accessible(20, 2), 11);
    hall.refuses(&with_accessible(1, 2), 11);
}

#[test]
fn anywhere_has_them_too() {
    let hall = drawn(&["..ca.a."]);
    let wish = Wish {
        accessible: 1,
        ..anywhere(3)
    };
    // With a companion beside the first of them.
    hall.gives(&wish, &["#.##.a."]);
    let all = Wish {
        accessible: 2,
        ..anywhere(2)
    };
    hall.gives(&all, &["..c#.#."]);
}
