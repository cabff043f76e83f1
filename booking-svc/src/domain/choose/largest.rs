//! How large a party could be.

use super::offer::{Offer, Stretch};
use super::{PARTY_MAX, Seating, Wish};

/// The largest party, up to [`PARTY_MAX`], for which a choice could be met.
pub(super) fn party(offer: &Offer<'_>, wish: &Wish) -> u8 {
    let accessible = u32::from(wish.accessible);
    let largest = match wish.seating {
        Seating::Together => {
            let sizes = offer
                .stretches()
                .map(|stretch| in_stretch(offer, &stretch, accessible));
            sizes.max().unwrap_or(0)
        }
        Seating::Best | Seating::Anywhere => {
            let (mut all, mut suited) = (0, 0);
            for stretch in offer.stretches() {
                all += stretch.size();
                suited += offer.hall.accessible(&stretch.places);
            }
            if suited < accessible {
                0
            } else {
                all - suited + accessible
            }
        }
    };
    u8::try_from(largest).unwrap_or(PARTY_MAX).min(PARTY_MAX)
}

/// The longest part of a stretch with exactly `accessible` accessible seats; 0 if there is none.
fn in_stretch(offer: &Offer<'_>, stretch: &Stretch, accessible: u32) -> u32 {
    let mut from = stretch.places.start;
    let mut longest = 0;
    for to in stretch.places.start + 1..=stretch.places.end {
        while offer.hall.accessible(&(from..to)) > accessible {
            from += 1;
        }
        if offer.hall.accessible(&(from..to)) == accessible {
            longest = longest.max(to - from);
        }
    }
    longest
}
