//! A rejected order is rejected again, in this batch and in later ones.

use super::world::{World, confirm};
use super::*;

fn cancel(booking_id: BookingId) -> Command {
    let version = None;
    Command::Cancel {
        booking_id,
        version,
    }
}

#[test]
fn a_replay_of_a_rejected_order_is_rejected_the_same_way() {
    let mut world = World::new();
    let owner = world.with_booking(&[0], 60, false);
    let wanted = world.reserve(1, &[0, 1]);
    let orders = [
        wanted.clone(),
        world.order(2, cancel(owner)),
        wanted.clone(),
        world.reserve(3, &[0, 1]),
    ];
    let outcomes = world.decide(&orders);
    assert!(outcomes[0].is_err());
    assert_eq!(outcomes[2], outcomes[0], "in the same batch");
    assert!(outcomes[3].is_ok(), "another id: {:?}", outcomes[3]);
    let later = world.decide(std::slice::from_ref(&wanted));
    assert_eq!(later[0], outcomes[0], "in another one");

    let mut other = wanted;
    other.fingerprint += 1;
    let reused = Err(NotGranted::Rejected(Rejection::RequestIdReused));
    assert_eq!(world.decide(&[other]), [reused]);
}

#[test]
fn only_a_final_rejection_is_stored() {
    let mut world = World::new();
    world.with_booking(&[0], 60, false);
    world.with_booking(&[1], -1, false);
    let mut made_up = world.reserve(1, &[0]);
    made_up.repeatable = false;
    let mut picked = world.reserve(2, &[0]);
    if let Command::Reserve(wanted) = &mut picked.command {
        wanted.picks.ordinals = vec![0];
    }
    let lapsed = world.reserve(3, &[1]);
    let unknown = world.order(4, confirm(BookingId::generate(world.sale.show_id)));
    let repeated = world.reserve(5, &[0]);
    let orders = [made_up, picked, lapsed, unknown, repeated];
    let Decision { outcomes, writes } = decide(&orders, world.locked(&orders));
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    let remembered: Vec<_> = writes.rejections.iter().map(|r| r.request_id).collect();
    assert_eq!(remembered, [Uuid::from_u128(5)]);
}
