use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health as _;

use super::*;

type Served = Result<(), Box<dyn Error + Send + Sync>>;

/// A supervisor of a process that is SERVING.
async fn serving() -> (Supervisor, Health, Shutdown) {
    let (health, shutdown) = (Health::new(&[]), Shutdown::default());
    health.set_ready(true);
    (Supervisor::new(&health, &shutdown), health, shutdown)
}

async fn says_serving(health: &Health) -> bool {
    let request = HealthCheckRequest::default();
    let answer = health.check(tonic::Request::new(request)).await;
    let status = answer.expect("it is known").into_inner().status();
    status == ServingStatus::Serving
}

/// Serves until the soft stop, as a server does.
async fn until_stopped(shutdown: Shutdown) -> Served {
    shutdown.soft.cancelled().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_or_ends_is_begun_again_later_each_time() {
    let (mut supervisor, health, shutdown) = serving().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let (counted, stop) = (Arc::clone(&runs), shutdown.soft.clone());
    supervisor.restart("restless", move || {
        let (runs, stop) = (Arc::clone(&counted), stop.clone());
        async move {
            match runs.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("at first"),
                1 => {}
                2..5 => panic!("again"),
                _ => stop.cancel(),
            }
        }
    });
    let ran = supervisor.run(until_stopped(shutdown)).await;
    assert!(ran.is_ok(), "{ran:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 6);
    let took = began.elapsed();
    assert!(took > RESTART_MIN * 31 / 2, "{took:?}");
    assert!(says_serving(&health).await, "nothing was wrong with it");
}

#[tokio::test(start_paused = true)]
async fn a_steady_task_restarts_at_once_however_often_it_was_lost() {
    let (mut supervisor, _, shutdown) = serving().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let (counted, stop) = (Arc::clone(&runs), shutdown.soft.clone());
    supervisor.restart("steady", move || {
        let (runs, stop) = (Arc::clone(&counted), stop.clone());
        async move {
            sleep(STEADY + Duration::from_millis(1)).await;
            if runs.fetch_add(1, Ordering::Relaxed) == 20 {
                stop.cancel();
            }
        }
    });
    let ran = supervisor.run(until_stopped(shutdown)).await;
    assert!(ran.is_ok(), "{ran:?}");
    let waits = began.elapsed() - STEADY * 21;
    assert!(waits < RESTART_MIN * 22, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restartable_task_that_hangs_does_not_hold_up_a_stop() {
    let (mut supervisor, _, shutdown) = serving().await;
    supervisor.restart("hung", pending::<()>);
    shutdown.soft.cancel();
    let running = supervisor.run(until_stopped(shutdown));
    let ran = tokio::time::timeout(2 * RESTARTABLE_END_MAX, running).await;
    let ran = ran.expect("it does not wait for the task");
    assert!(ran.is_ok(), "{ran:?}");
}

#[tokio::test(start_paused = true)]
async fn an_essential_task_that_is_lost_ends_the_process_not_serving() {
    for panics in [true, false] {
        let (mut supervisor, health, shutdown) = serving().await;
        supervisor.essential("vital", async move {
            sleep(Duration::from_secs(1)).await;
            assert!(!panics, "it had a reason");
            Ok(())
        });
        let (stop, of_server) = (shutdown.soft.clone(), health.clone());
        let ran = supervisor.run(async move {
            stop.cancelled().await;
            // A readiness check that began before may report after.
            of_server.set_ready(true);
            assert!(!says_serving(&of_server).await);
            Ok(())
        });
        let error = ran.await.expect_err("it was lost");
        assert!(error.is::<LostTask>());
        let why = if panics {
            "it panicked: it had a reason"
        } else {
            "it ended"
        };
        assert_eq!(
            error.to_string(),
            format!("the task \"vital\" was lost: {why}")
        );
        assert!(!says_serving(&health).await);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_of_several_losses_is_named() {
    let (mut supervisor, _, shutdown) = serving().await;
    let stop = shutdown.soft.clone();
    supervisor.essential("first", async { panic!("oh") });
    supervisor.essential("second", async move {
        stop.cancelled().await;
        panic!("me too")
    });
    let error = supervisor.run(until_stopped(shutdown)).await;
    let error = error.expect_err("both were lost").to_string();
    assert!(error.contains("first") && error.ends_with("oh"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_or_ends_by_itself_stops_the_tasks() {
    for served in [Err("no more descriptors"), Ok(())] {
        let (mut supervisor, health, shutdown) = serving().await;
        let stop = shutdown.soft.clone();
        supervisor.essential("worker", async move {
            stop.cancelled().await;
            Ok(())
        });
        let stop = shutdown.soft.clone();
        supervisor.restart("loop", move || stop.clone().cancelled_owned());
        let ran = supervisor
            .run(async move { served.map_err(Into::into) })
            .await;
        match served {
            Ok(()) => assert!(ran.is_ok(), "{ran:?}"),
            Err(why) => {
                let error = ran.expect_err("the server has failed");
                assert!(!error.is::<LostTask>());
                assert_eq!(error.to_string(), why);
                assert!(!says_serving(&health).await);
            }
        }
        assert!(shutdown.soft.is_cancelled());
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_task_does_not_keep_the_process_from_ending() {
    let (mut supervisor, _, shutdown) = serving().await;
    supervisor.essential("hangs", pending());
    supervisor.restart("hangs too", pending);
    supervisor.essential("lost", async { panic!("oh") });
    let began = Instant::now();
    let hard = shutdown.hard.clone();
    // A server ends with the grace at the latest.
    let ran = supervisor.run(async move {
        hard.cancelled().await;
        Ok(())
    });
    assert!(ran.await.is_err());
    assert_eq!(began.elapsed().as_secs(), FAULT_GRACE.as_secs());

    let (mut supervisor, _, shutdown) = serving().await;
    supervisor.essential("hangs", pending());
    shutdown.soft.cancel();
    shutdown.hard.cancel();
    assert!(supervisor.run(until_stopped(shutdown)).await.is_ok());
}
