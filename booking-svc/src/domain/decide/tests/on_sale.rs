//! When a show can be booked, which of its seats, and at what price.

use model::PriceList;

use super::world::row_of;
use super::*;

#[test]
fn a_hold_is_confirmed_in_every_state_of_the_sale_but_cancelled() {
    for state in [SaleState::Draft, SaleState::Paused, SaleState::Closed] {
        let mut world = World::new();
        let held = world.with_booking(&[0], 60, false);
        world.state = state;
        let outcomes = world.decide(&[world.reserve(1, &[3]), world.order(2, confirm(held))]);
        let rejection = Rejection::ShowNotOnSale(world.sale.show_id, state, None);
        assert_eq!(outcomes[0], Err(NotGranted::Rejected(rejection)));
        assert!(outcomes[1].is_ok(), "{:?}", outcomes[1]);
    }
}

#[test]
fn the_scheduled_times_count_to_the_microsecond() {
    use SaleState::{Closed, Draft, OnSale, Paused};
    let moment = time::Duration::MICROSECOND;
    let (now, soon, past) = (Some(NOW), Some(NOW + moment), Some(NOW - moment));
    let not_on_sale = |state, opens_at| Err((Some(state), opens_at));
    let started = Err((None, None));
    for (state, open, close, start, wanted) in [
        (Draft, None, None, soon, not_on_sale(Draft, None)),
        (Draft, soon, None, soon, not_on_sale(Draft, soon)),
        (Draft, now, None, soon, Ok(())),
        (Draft, now, None, now, started),
        (Draft, past, now, soon, not_on_sale(Closed, None)),
        (Draft, past, soon, past, Ok(())),
        (OnSale, None, soon, past, Ok(())),
        (OnSale, None, now, soon, not_on_sale(Closed, None)),
        (OnSale, None, None, now, started),
        (OnSale, None, None, soon, Ok(())),
        // Published before its time.
        (OnSale, soon, None, soon, Ok(())),
        (Paused, past, None, soon, not_on_sale(Paused, None)),
        (Paused, None, now, soon, not_on_sale(Closed, None)),
    ] {
        let mut world = World::new();
        world.state = state;
        let terms = &mut Arc::make_mut(&mut world.sale).terms;
        terms.start_at = start.expect("set");
        (terms.sales_open_at, terms.sales_close_at) = (open, close);
        let outcome = world.decide(&[world.reserve(1, &[0])]).remove(0);
        let found = match outcome {
            Ok(_) => Ok(()),
            Err(NotGranted::Rejected(Rejection::ShowNotOnSale(_, state, opens_at))) => {
                Err((Some(state), opens_at))
            }
            Err(NotGranted::Rejected(Rejection::ShowStarted(..))) => Err((None, None)),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, wanted, "{state:?} {open:?} {close:?} {start:?}");
    }
}

#[test]
fn a_show_that_is_about_to_be_deleted_is_closed() {
    let mut world = World::new();
    Arc::make_mut(&mut world.sale).withdrawn.show = true;
    let outcomes = world.decide(&[world.reserve(1, &[0])]);
    let closed = Rejection::ShowNotOnSale(world.sale.show_id, SaleState::Closed, None);
    assert_eq!(outcomes, [Err(NotGranted::Rejected(closed))]);
}

#[test]
fn seats_keep_their_ordinals_under_another_layout_and_some_are_not_for_sale() {
    let mut world = World::new();
    let kept = world.with_booking(&[1], -30, true);
    let sale = Arc::make_mut(&mut world.sale);
    // A-1 is dropped, two new ones come in front, A-6 is blocked, A-5 about to be dropped.
    let labels = ["B-1", "B-2", "A-6", "A-5", "A-4", "A-3", "A-2"];
    let layout = row_of(&labels, &["A-6"]);
    let prices = sale.prices.description().clone();
    sale.prices = PriceList::new(prices, &layout).expect("prices");
    sale.seats = sale.seats.with_layout(layout).expect("few seats");
    sale.withdrawn.seats = [4].into();
    let show_id = sale.show_id;
    world
        .seats
        .extend([((show_id, 6), None), ((show_id, 7), None)]);

    let outcomes = world.decide(&[
        world.reserve(1, &[1, 2, 4, 5, 6]),
        world.reserve(2, &[3, 7]),
    ]);
    let taken = [
        ("A-2", Taken::Booked),
        ("A-5", Taken::Blocked),
        ("A-6", Taken::Blocked),
    ];
    let taken = taken.map(|(label, how)| (label.to_owned(), how));
    let rejection = Rejection::SeatsUnavailable(show_id, taken.to_vec());
    assert_eq!(outcomes[0], Err(NotGranted::Rejected(rejection)));
    let sold = outcomes[1].as_ref().expect("both are free");
    let names = |booking: &Booking| -> Vec<String> {
        let names = booking
            .seats
            .iter()
            .map(|seat| world.sale.named(seat.ordinal));
        names
            .map(|seat| seat.expect("named").label.into_owned())
            .collect()
    };
    assert_eq!(names(sold), ["A-4", "B-2"]);
    assert_eq!(names(&world.bookings[&kept]), ["A-2"]);
    let dropped = world.sale.named(0).map(|seat| seat.label.into_owned());
    assert_eq!(dropped.as_deref(), Some("A-1"), "it keeps its name");
}

#[test]
fn a_show_has_its_own_limit_of_seats_and_freezes_price_and_tier() {
    let mut world = World::new();
    Arc::make_mut(&mut world.sale).terms.seats_per_booking_max = Some(2);
    let outcomes = world.decide(&[world.reserve(1, &[0, 1, 2]), world.reserve(2, &[0, 1])]);
    assert_eq!(
        outcomes[0],
        Err(NotGranted::Rejected(Rejection::TooManySeats(2)))
    );
    let granted = outcomes[1].as_ref().expect("two are not too many");
    let priced: Vec<_> = granted.seats.iter().map(|s| (s.price, &*s.tier)).collect();
    assert_eq!(priced, [(1250, "Standard"), (1250, "Standard")]);
}
