//! Keys from a real HTTP server: they are fetched, rotated, and kept while the server is down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// A small HTTP server that publishes keys.
struct Publisher {
    document: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    url: String,
    serving: JoinHandle<()>,
}

impl Publisher {
    async fn start(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, document)
    }

    fn on(listener: TcpListener, document: String) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let document = Arc::new(Mutex::new(document));
        let asked = Arc::new(AtomicUsize::new(0));
        let (document_now, counter, own) = (Arc::clone(&document), Arc::clone(&asked), url.clone());
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let mut text = document_now
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if request.starts_with("GET /.well-known/openid-configuration ") {
                    text = json!({"issuer": own, "jwks_uri": format!("{own}/keys")}).to_string();
                } else {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                let status = if text.is_empty() {
                    "503 Service Unavailable"
                } else {
                    "200 OK"
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    text.len()
                );
                let answer = [head.as_bytes(), text.as_bytes()].concat();
                // A client that goes is one that has had enough.
                let _ = stream.write_all(&answer).await;
            }
        });
        Self {
            document,
            asked,
            url,
            serving,
        }
    }

    fn publish(&self, document: String) {
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = document;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn following(publisher: &Publisher, pace: Pace) -> Auth {
    let url = format!("{}/keys", publisher.url).parse().expect("a URL");
    let args = AuthArgs {
        jwks_url: Some(url),
        ..args()
    };
    let auth = Auth::with_pace(&args, Some(pace)).expect("no keys are needed yet");
    auth.expect("it is on")
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_when_a_token_names_it() {
    let (one, two) = (Issuer::new("one"), Issuer::new("two"));
    let publisher = Publisher::start(jwks(&[one.jwk()])).await;
    // Only a token makes it look again.
    let pace = Pace {
        least: Duration::ZERO,
        ..Pace::all(Duration::from_secs(600))
    };
    let auth = following(&publisher, pace);
    let (_stop, _keeping) = keep(&auth);
    let ann = claims("ann", &["customer"]);
    assert!(with_token(&auth, &one.token(&ann)).await.is_ok());
    publisher.publish(jwks(&[one.jwk(), two.jwk()]));
    assert!(with_token(&auth, &two.token(&ann)).await.is_ok());
    assert!(with_token(&auth, &one.token(&ann)).await.is_ok());
    assert_eq!(publisher.asked(), 2);
}

#[tokio::test]
async fn tokens_with_unknown_keys_do_not_have_the_issuer_asked_again_and_again() {
    let (one, stranger) = (Issuer::new("one"), Issuer::new("stranger"));
    let publisher = Publisher::start(jwks(&[one.jwk()])).await;
    let auth = following(&publisher, Pace::URL);
    let (_stop, _keeping) = keep(&auth);
    let ann = claims("ann", &["customer"]);
    assert!(with_token(&auth, &one.token(&ann)).await.is_ok());
    let attempts = (0..50).map(|n| {
        let mut claims = ann.clone();
        claims["jti"] = n.into();
        let token = stranger.token(&claims);
        let auth = auth.clone();
        async move { with_token(&auth, &token).await }
    });
    for refused in futures_util::future::join_all(attempts).await {
        assert_eq!(refused.expect_err("refused"), "TOKEN_INVALID");
    }
    assert_eq!(publisher.asked(), 1);
}

#[tokio::test]
async fn while_the_issuer_is_unreachable_the_last_keys_stay() {
    let one = Issuer::new("one");
    let publisher = Publisher::start(String::new()).await;
    let auth = following(&publisher, Pace::all(Duration::from_millis(10)));
    let (_stop, _keeping) = keep(&auth);
    let ann = claims("ann", &["customer"]);
    let token = one.token(&ann);
    let refused = with_token(&auth, &token).await.expect_err("no keys");
    assert_eq!(refused, "TOKEN_KEYS_UNAVAILABLE");
    publisher.publish(jwks(&[one.jwk()]));
    eventually(SOON, "the keys are found", async || {
        with_token(&auth, &token).await.is_ok()
    })
    .await;
    for bad in ["", "{}", "{\"keys\":[]}", &"x".repeat(300 * 1024)] {
        publisher.publish(bad.to_owned());
        let asked = publisher.asked();
        eventually(SOON, "it is asked again", async || {
            publisher.asked() > asked + 1
        })
        .await;
        let mut claims = ann.clone();
        claims["jti"] = bad.len().into();
        assert!(with_token(&auth, &one.token(&claims)).await.is_ok());
    }
}

#[tokio::test]
async fn the_issuers_discovery_document_leads_to_its_keys() {
    let one = Issuer::new("one");
    let publisher = Publisher::start(jwks(&[one.jwk()])).await;
    let args = AuthArgs {
        issuer: Some(publisher.url.clone()),
        ..args()
    };
    let auth = Auth::new(&args).expect("no keys are needed yet");
    let auth = auth.expect("it is on");
    let (_stop, _keeping) = keep(&auth);
    let mut claims = claims("ann", &["customer"]);
    claims["iss"] = publisher.url.clone().into();
    assert!(with_token(&auth, &one.token(&claims)).await.is_ok());
}
