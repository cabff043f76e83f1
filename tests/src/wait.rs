//! Waiting for what will come to pass.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(10);

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
    let start = Instant::now();
    loop {
        // A condition that hangs must not hang the test.
        let left = deadline.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, condition()).await {
            Ok(Some(value)) => return value,
            Ok(None) if start.elapsed() < deadline => sleep(PAUSE).await,
            Ok(None) | Err(_) => panic!("not within {deadline:?}: {what}"),
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
