use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn terms() -> HoldLimitTerms {
    HoldLimitTerms {
        per_show_max: None,
        open_max: None,
        unsold: None,
    }
}

fn show(number: u8) -> ShowId {
    let id = format!("0102030405{number:02x}-8000-8000-000000000000");
    let id = format!("{}-{}", &id[..8], &id[8..]);
    id.parse().expect("a show's id")
}

fn booking(number: u8) -> BookingId {
    let id = format!("01020304-0506-8000-8000-0000000000{number:02x}");
    id.parse().expect("a booking's id")
}

fn hold(limits: &HoldLimits, who: &str, number: u8) -> Result<(), TooManyHolds> {
    let asked = limits.ask(&who.into(), show(6), MINUTE)?;
    asked.granted(booking(number), MINUTE);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_subject_has_so_many_open_holds_of_a_show() {
    let limits = HoldLimits::new(HoldLimitTerms {
        per_show_max: Some(2),
        ..terms()
    });
    hold(&limits, "ann", 1).expect("the first");
    tokio::time::advance(MINUTE / 2).await;
    hold(&limits, "ann", 2).expect("the second");
    let refused = hold(&limits, "ann", 3).expect_err("the third");
    assert_eq!(refused.limit, HoldLimit::PerShow(2));
    assert_eq!(refused.retry_after, MINUTE / 2, "then the first ends");
    hold(&limits, "bob", 4).expect("another's");
    limits
        .ask(&"ann".into(), show(7), MINUTE)
        .expect("another show's")
        .refused();

    tokio::time::advance(MINUTE / 2).await;
    hold(&limits, "ann", 5).expect("the first has ended by itself");
    limits.bought(booking(2));
    hold(&limits, "ann", 6).expect("the second was bought");
    limits.given_up(booking(5));
    hold(&limits, "ann", 7).expect("one was given up");
    hold(&limits, "ann", 8).expect_err("two are open again");
}

#[tokio::test(start_paused = true)]
async fn a_hold_counts_from_when_it_is_asked_for_until_it_surely_is_none() {
    let limits = HoldLimits::new(HoldLimitTerms {
        open_max: Some(1),
        ..terms()
    });
    let ask = || limits.ask(&"ann".into(), show(6), MINUTE);
    let asked = ask().expect("the first");
    assert_eq!(
        ask().expect_err("at the same time").limit,
        HoldLimit::Open(1)
    );
    asked.refused();
    // Its outcome is never known.
    drop(ask().expect("the one before was refused"));
    ask().expect_err("it may be there");
    tokio::time::advance(MINUTE).await;
    ask().expect("it has ended by now").refused();
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_not_counted_again_and_an_extended_hold_ends_later() {
    let limits = HoldLimits::new(HoldLimitTerms {
        open_max: Some(2),
        ..terms()
    });
    for _ in 0..3 {
        hold(&limits, "ann", 1).expect("the same booking");
    }
    limits.extended(booking(1), 3 * MINUTE);
    hold(&limits, "ann", 2).expect("there is one open");
    tokio::time::advance(2 * MINUTE).await;
    hold(&limits, "ann", 3).expect("the second has ended");
    hold(&limits, "ann", 4).expect_err("the first is still open");
}

#[tokio::test(start_paused = true)]
async fn holding_letting_go_and_holding_again_has_an_end() {
    let limits = HoldLimits::new(HoldLimitTerms {
        unsold: Some(UnsoldTerms {
            time_max: 3 * MINUTE,
            window: 60 * MINUTE,
        }),
        ..terms()
    });
    // Bought: not counted.
    for number in 1..=10 {
        hold(&limits, "ann", number).expect("those that buy hold on");
        limits.bought(booking(number));
    }
    // One ends by itself, one is given up half way: one and a half minutes.
    hold(&limits, "ann", 20).expect("0 of 3 min");
    tokio::time::advance(MINUTE).await;
    hold(&limits, "ann", 21).expect("1 of 3 min");
    tokio::time::advance(MINUTE / 2).await;
    limits.given_up(booking(21));
    hold(&limits, "ann", 22).expect("1.5 of 3 min");
    let refused = hold(&limits, "ann", 23).expect_err("2.5 of 3 min, and this one's");
    assert_eq!(refused.limit, HoldLimit::Unsold(3 * MINUTE));
    hold(&limits, "bob", 24).expect("another's time");

    tokio::time::advance(refused.retry_after).await;
    hold(&limits, "ann", 25).expect("the first has left the window");
}

#[tokio::test(start_paused = true)]
async fn new_subjects_are_refused_rather_than_counted_ones_forgotten() {
    let by = HoldLimitTerms {
        open_max: Some(1),
        ..terms()
    };
    let limits = HoldLimits::for_subjects(by, 2);
    hold(&limits, "ann", 1).expect("room");
    hold(&limits, "bob", 2).expect("room");
    let refused = hold(&limits, "cid", 3).expect_err("no room");
    assert_eq!(refused.limit, HoldLimit::Subjects);
    hold(&limits, "ann", 4).expect_err("she is not forgotten");
    tokio::time::advance(MINUTE).await;
    hold(&limits, "cid", 5).expect("the others hold nothing any more");
}
