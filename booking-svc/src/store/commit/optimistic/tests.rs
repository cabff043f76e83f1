use time::macros::datetime;
use tokio::time::advance;

use super::*;

const NOW: OffsetDateTime = datetime!(2030-01-01 12:00 UTC);

#[tokio::test(start_paused = true)]
async fn the_clock_estimate_is_never_ahead_and_ends_after_a_minute() {
    let clock = Clock::at(NOW);
    assert_eq!(clock.now(), Some(NOW));
    advance(Duration::from_secs(10)).await;
    let now = clock.now().expect("a while ago");
    assert_eq!(
        NOW + Duration::from_secs(10) - now,
        Duration::from_millis(10)
    );
    advance(CLOCK_MAX).await;
    assert_eq!(clock.now(), None);
}

#[test]
fn after_a_miss_the_optimistic_path_is_skipped() {
    let optimistic = OptimisticCache::default();
    let rests = |optimistic: &OptimisticCache| optimistic.state().rest;
    for rest in [2, 4, 8, 16, 32, 64, 64] {
        optimistic.record_miss(&[]);
        assert_eq!(rests(&optimistic), rest);
    }
    assert!(optimistic.of(&[]).is_none());
    assert_eq!(rests(&optimistic), REST_MAX - 1);
    optimistic.record_hit(NOW);
    optimistic.record_miss(&[]);
    assert_eq!(rests(&optimistic), 2);
}

#[test]
fn a_seat_is_taken_until_it_is_seen_free() {
    let mut taken = TakenSeats::default();
    let show = ShowId::generate();
    for ordinal in [0, 63, 64, 99_999] {
        assert!(!taken.contains(show, ordinal));
        taken.note(show, ordinal, true);
        assert!(taken.contains(show, ordinal));
        assert!(!taken.contains(ShowId::generate(), ordinal));
    }
    taken.note(show, 64, false);
    assert!(!taken.contains(show, 64) && taken.contains(show, 63));
    // Seats that never had an owner take no memory.
    let words = taken.words;
    taken.note(ShowId::generate(), 99_999, false);
    assert_eq!(taken.words, words);
}

#[test]
fn seats_are_forgotten_when_there_are_too_many() {
    let mut taken = TakenSeats::default();
    let (first, last) = (ShowId::generate(), ShowId::generate());
    let ordinal = u32::try_from(64 * SEAT_WORDS_MAX).expect("it fits");
    taken.note(first, ordinal, true);
    assert!(taken.contains(first, ordinal));
    taken.note(last, 0, true);
    assert!(!taken.contains(first, ordinal) && taken.contains(last, 0));
    assert_eq!(taken.words, 1);
}

#[tokio::test(start_paused = true)]
async fn that_places_were_given_back_is_remembered_for_a_while() {
    let row = |taken| AreaRow {
        capacity: 100,
        taken,
    };
    let mut area = ExpectedArea::new(row(5));
    for taken in [5, 6, 100] {
        area.see(row(taken));
        assert!(!area.is_given_back());
    }
    area.see(row(99));
    area.see(row(100));
    assert!(area.is_given_back());
    advance(GIVEN_BACK_REST).await;
    assert!(!area.is_given_back());
}
