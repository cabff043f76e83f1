//! The token that our own clients send.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::TOKEN_BYTES_MAX;

/// How often the file is read again.
const READ_INTERVAL: Duration = Duration::from_secs(5);

/// Adds the token in a file to each call of a client; or nothing, if there is no file.
///
/// The file is read again every few seconds, so that whoever renews the token restarts nothing. If it
/// cannot be read then, the last token is sent on.
#[derive(Debug, Clone, Default)]
pub struct Bearer(Option<Arc<TokenFile>>);

#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// Sensitive, so it is not printed.
    header: MetadataValue<Ascii>,
    read_at: Instant,
    is_failing: bool,
}

impl Bearer {
    /// One that sends the token in the file, if there is one.
    ///
    /// # Errors
    ///
    /// If the file has no token. It names the flag and the file.
    pub fn from_file(flag: &str, path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let header = read(path).map_err(|why| format!("{flag} {}: {why}", path.display()))?;
        let current = Current {
            header,
            read_at: Instant::now(),
            is_failing: false,
        };
        Ok(Self(Some(Arc::new(TokenFile {
            path: path.to_owned(),
            current: Mutex::new(current),
        }))))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(file) = &self.0 {
            let header = file.header();
            request.metadata_mut().insert("authorization", header);
        }
        Ok(request)
    }
}

impl TokenFile {
    fn header(&self) -> MetadataValue<Ascii> {
        // A value in it is whole or was not written.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.read_at.elapsed() >= READ_INTERVAL {
            current.read_at = Instant::now();
            // A small file of this host, seldom: not worth a thread of its own.
            match read(&self.path) {
                Ok(header) => {
                    current.header = header;
                    current.is_failing = false;
                }
                Err(why) if !current.is_failing => {
                    let file = self.path.display();
                    tracing::warn!(%file, why, "the token cannot be read; the last one is sent");
                    current.is_failing = true;
                }
                Err(_) => {}
            }
        }
        current.header.clone()
    }
}

fn read(path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if size.len() > TOKEN_BYTES_MAX as u64 {
        return Err(format!("it is larger than {TOKEN_BYTES_MAX} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let token = text.trim();
    // The characters of a JWT: what else there is, is not one.
    let may_be = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    if token.is_empty() || !token.bytes().all(may_be) {
        return Err("it must have a token and nothing else".to_owned());
    }
    let header = format!("Bearer {token}").parse();
    let mut header: MetadataValue<Ascii> = header.map_err(|_| "it has no token".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
