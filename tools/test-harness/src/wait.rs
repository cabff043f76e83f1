//! Waits for conditions.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The pause between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(10);
/// The most of a deadline that one check uses up, because the machine may have stalled.
const LOOK_COUNTS_MAX: Duration = Duration::from_millis(500);
/// How long the check after the deadline may take.
const LAST_LOOK_MAX: Duration = Duration::from_secs(2);

/// Waits until the condition holds.
///
/// # Panics
///
/// If it does not within `deadline`; the message names `what`.
pub async fn eventually(deadline: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually_some(deadline, what, async || condition().await.then_some(())).await;
}

/// Waits until there is a value, and returns it.
///
/// # Panics
///
/// If there is none within `deadline`; the message names `what`.
pub async fn eventually_some<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let mut left = deadline;
    loop {
        let start = Instant::now();
        let is_last = left.is_zero();
        // A condition that hangs must not hang the test.
        let look_max = if is_last { LAST_LOOK_MAX } else { left };
        match tokio::time::timeout(look_max, condition()).await {
            Ok(Some(value)) => return value,
            _ if is_last => panic!("not within {deadline:?}: {what}"),
            Ok(None) => {
                sleep(PAUSE).await;
                left = left.saturating_sub(start.elapsed().min(LOOK_COUNTS_MAX));
            }
            Err(_) => left = Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_that_comes_true_is_enough() {
        let mut looks = 0;
        eventually(Duration::from_secs(5), "three looks", async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert_eq!(looks, 3);
    }

    #[tokio::test]
    async fn a_condition_that_came_true_during_a_stall_is_seen() {
        let mut looks = 0;
        eventually(Duration::from_millis(20), "a second look", async || {
            looks += 1;
            std::thread::sleep(Duration::from_millis(40));
            tokio::task::yield_now().await;
            looks == 2
        })
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "not within 20ms: the moon is cheese")]
    async fn one_that_does_not_is_named() {
        eventually(
            Duration::from_millis(20),
            "the moon is cheese",
            async || false,
        )
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "not within 20ms: an answer")]
    async fn one_that_hangs_is_named_too() {
        let never = async || std::future::pending::<Option<()>>().await;
        eventually_some(Duration::from_millis(20), "an answer", never).await;
    }
}
