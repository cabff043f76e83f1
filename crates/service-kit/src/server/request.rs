//! The body of a call, which is taken in whole before the call begins: a body that does not end
//! takes no place of the calls, and what it has brought is counted.
//!
//! A body that is there with its headers, as most are, is handed on as it came and counts for
//! nothing. What comes later is copied: a piece of one byte would else keep the whole buffer that
//! it was read into.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use proto::errors::v1::ErrorReason;
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use super::budget::{Charge, Part};
use crate::api_error::ApiError;
use crate::tally;

/// The largest request of most methods: they have ids, names, and a hundred seats at most.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
/// How long a body may take, however it trickles. 4 MiB come within it at 4 Mbit/s.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// What a call that waits for its body costs beside that: its stream, task and headers.
const WAITING_BYTES: usize = 4 * 1024;
/// What is read is kept in blocks of these sizes; each counts when it is made.
const BLOCK_BYTES_MIN: usize = 1024;
const BLOCK_BYTES_MAX: usize = 16 * 1024;

/// A body that is all there.
#[derive(Debug)]
pub(crate) struct Whole {
    blocks: std::vec::IntoIter<Vec<u8>>,
    /// What was there at once, and is no block.
    first: Option<Bytes>,
    bytes: usize,
    /// Given back with the body, when its message is decoded.
    _charge: Option<Charge>,
}

/// Why a body is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has, or says that it has, more bytes than it may have.
    TooLarge { bytes: usize, bytes_max: usize },
    /// Decoded, it takes too much memory.
    TooLargeDecoded,
    /// It ends before its message does.
    CutOff,
    /// Its stream was reset, or its connection ended.
    BrokenOff,
    /// It took too long.
    Late,
    /// Its connection, its peer or the process has as many unfinished ones as it may have.
    NoRoom,
}

/// Takes in a body whose message has at most `bytes_max` bytes, until `deadline` at the latest.
pub(crate) async fn whole<B>(
    mut body: B,
    bytes_max: usize,
    part: &Arc<Part>,
    deadline: Instant,
) -> Result<Whole, Refused>
where
    B: Body<Data = Bytes> + Send + Unpin,
{
    let mut first = None;
    let at_once = poll_fn(|cx| Poll::Ready(read_at_once(&mut body, &mut first, cx))).await?;
    if let Some(more) = at_once {
        let until = deadline.min(Instant::now() + TIME_MAX);
        // In a box, so that calls that need none of it do not carry it.
        let reading = read(body, [first, more], bytes_max, part);
        let in_time = Box::pin(timeout_at(until, reading)).await;
        return in_time.unwrap_or(Err(Refused::Late));
    }
    let bytes = first.as_ref().map_or(0, Bytes::len);
    check(first.as_deref().unwrap_or_default(), bytes, bytes_max)?;
    let whole = Whole {
        blocks: Vec::new().into_iter(),
        first,
        bytes,
        _charge: None,
    };
    whole.checked()
}

/// Reads what is there. None is the end; else it goes on, behind a second piece perhaps.
fn read_at_once<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    first: &mut Option<Bytes>,
    cx: &mut Context<'_>,
) -> Result<Option<Option<Bytes>>, Refused> {
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Ok(Some(None)),
            Poll::Ready(None) => return Ok(None),
            Poll::Ready(Some(Err(_))) => return Err(Refused::BrokenOff),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) if first.is_none() => *first = Some(data),
                Ok(data) => return Ok(Some(Some(data))),
                // Trailers say nothing to us.
                Err(_) => {}
            },
        }
    }
}

async fn read<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    begun: [Option<Bytes>; 2],
    bytes_max: usize,
    part: &Arc<Part>,
) -> Result<Whole, Refused> {
    let mut taken = Taken::new(bytes_max, part)?;
    for data in begun.into_iter().flatten() {
        taken.append(&data)?;
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refused::BrokenOff)?;
        if let Some(data) = frame.data_ref() {
            taken.append(data)?;
        }
    }
    taken.whole()
}

/// What has come of a body.
struct Taken {
    bytes_max: usize,
    blocks: Vec<Vec<u8>>,
    bytes: usize,
    charge: Charge,
}

impl Taken {
    fn new(bytes_max: usize, part: &Arc<Part>) -> Result<Self, Refused> {
        Ok(Self {
            bytes_max,
            blocks: Vec::new(),
            bytes: 0,
            charge: part.charge(WAITING_BYTES).ok_or(Refused::NoRoom)?,
        })
    }

    fn append(&mut self, mut data: &[u8]) -> Result<(), Refused> {
        if data.is_empty() {
            return Ok(());
        }
        // Before anything is kept of what is too large.
        let bytes = self.bytes + data.len();
        check(&[], bytes, self.bytes_max)?;
        while !data.is_empty() {
            let block = match self.blocks.last_mut() {
                Some(block) if block.len() < block.capacity() => block,
                _ => self.add_block()?,
            };
            let fits = data.len().min(block.capacity() - block.len());
            block.extend_from_slice(&data[..fits]);
            data = &data[fits..];
        }
        self.bytes = bytes;
        // The first block has the prefix.
        check(&self.blocks[0], bytes, self.bytes_max)
    }

    fn add_block(&mut self) -> Result<&mut Vec<u8>, Refused> {
        let wanted = self.bytes.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        if !self.charge.grow(wanted) {
            return Err(Refused::NoRoom);
        }
        self.blocks.push(Vec::with_capacity(wanted));
        Ok(self.blocks.last_mut().expect("it was just added"))
    }

    fn whole(self) -> Result<Whole, Refused> {
        let head = self.blocks.first().map_or(&[][..], Vec::as_slice);
        let is_cut_off = claimed(head).is_some_and(|claimed| claimed > self.bytes - PREFIX_BYTES);
        let whole = Whole {
            blocks: self.blocks.into_iter(),
            first: None,
            bytes: self.bytes,
            _charge: Some(self.charge),
        };
        if is_cut_off {
            return Err(Refused::CutOff);
        }
        Ok(whole)
    }
}

/// How long the message is, as its prefix says, if it is one: it begins with whether the message
/// is compressed.
fn claimed(head: &[u8]) -> Option<usize> {
    let prefix: [u8; PREFIX_BYTES] = head.get(..PREFIX_BYTES)?.try_into().ok()?;
    let [0 | 1, a, b, c, d] = prefix else {
        return None;
    };
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
}

/// Whether what has come, and what it says will come, are not too much.
fn check(head: &[u8], bytes: usize, bytes_max: usize) -> Result<(), Refused> {
    let bytes = bytes
        .saturating_sub(PREFIX_BYTES)
        .max(claimed(head).unwrap_or(0));
    if bytes > bytes_max {
        return Err(Refused::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

impl Whole {
    /// Whether it is more than most methods take.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > BYTES_MAX + PREFIX_BYTES
    }

    /// Looks at the whole message, in one piece, for which it is copied if need be.
    pub(crate) fn check(&self, allows: impl FnOnce(&[u8]) -> bool) -> Result<(), Refused> {
        let copy;
        let bytes = match &self.first {
            Some(first) => first,
            None => {
                copy = self.blocks.as_slice().concat();
                copy.as_slice()
            }
        };
        if allows(bytes.get(PREFIX_BYTES..).unwrap_or_default()) {
            Ok(())
        } else {
            Err(Refused::TooLargeDecoded)
        }
    }

    fn checked(self) -> Result<Self, Refused> {
        let head = self.first.as_deref().unwrap_or_default();
        // Else its length would be reserved for nothing.
        match claimed(head) {
            Some(claimed) if claimed > self.bytes - PREFIX_BYTES => Err(Refused::CutOff),
            _ => Ok(self),
        }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.first.take();
        let next = next.or_else(|| self.blocks.next().map(Bytes::from));
        Poll::Ready(next.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.blocks.as_slice().is_empty()
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let error = match refused {
            Refused::TooLarge { bytes, bytes_max } => {
                let message =
                    format!("the message has {bytes} bytes, at most {bytes_max} are read");
                ApiError::new(Code::InvalidArgument, ErrorReason::MessageTooLarge, message)
            }
            Refused::TooLargeDecoded => ApiError::new(
                Code::InvalidArgument,
                ErrorReason::MessageTooLarge,
                "the message has too many parts",
            ),
            Refused::CutOff => ApiError::new(
                Code::InvalidArgument,
                ErrorReason::MalformedMessage,
                "the request ends before its message does",
            ),
            Refused::BrokenOff => ApiError::new(
                Code::Cancelled,
                ErrorReason::CallCancelled,
                "the request was broken off",
            ),
            Refused::Late => ApiError::deadline_exceeded(),
            Refused::NoRoom => {
                ApiError::overloaded("there are too many bytes of requests that are not whole")
            }
        };
        tracing::debug!(?refused, "a call that cannot be read");
        tally::count(match refused {
            Refused::TooLarge { .. } | Refused::TooLargeDecoded => "MESSAGE_TOO_LARGE",
            Refused::CutOff => "MALFORMED_MESSAGE",
            Refused::BrokenOff => "CALL_CANCELLED",
            Refused::Late => "REQUEST_LATE",
            Refused::NoRoom => "REQUEST_BYTES",
        });
        error.as_callers_doing()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::budget::Budget;
    use super::*;

    /// A body whose frames come one at a time; what it has no more of never comes.
    struct Trickle {
        frames: VecDeque<Bytes>,
        ends: bool,
        is_ready: bool,
    }

    impl Body for Trickle {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.is_ready = !self.is_ready;
            if self.is_ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.frames.pop_front() {
                Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn trickle<const N: usize>(frames: [Vec<u8>; N], ends: bool) -> Trickle {
        Trickle {
            frames: frames.into_iter().map(Bytes::from).collect(),
            ends,
            is_ready: false,
        }
    }

    fn message(claimed: u32, bytes: usize) -> Vec<u8> {
        let [a, b, c, d] = claimed.to_be_bytes();
        let mut message = vec![0, a, b, c, d];
        message.resize(PREFIX_BYTES + bytes, 7);
        message
    }

    fn part(bytes: usize) -> Arc<Part> {
        Part::new(&Budget::new(2 * bytes), 0..=bytes, Arc::default())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_pieces_is_counted_until_it_is_decoded() {
        let part = part(1 << 20);
        let bytes = message(50_000, 50_000);
        let (head, tail) = (bytes[..3].to_vec(), bytes[3..].to_vec());
        let whole = whole(trickle([head, tail], true), BYTES_MAX, &part, soon()).await;
        let whole = whole.expect("a body");
        assert!(!whole.is_large());
        assert!((54_000..90_000).contains(&part.held()), "{}", part.held());
        let read = whole.collect().await.expect("a body").to_bytes();
        assert_eq!(read, bytes);
        assert_eq!(part.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_at_once_counts_for_nothing() {
        let part = part(0);
        let bytes = Bytes::from(message(3, 3));
        let body = http_body_util::Full::new(bytes.clone());
        let whole = whole(body, BYTES_MAX, &part, soon()).await.expect("a body");
        assert_eq!(whole.collect().await.expect("a body").to_bytes(), bytes);
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_refused_or_costs_nothing() {
        let part = part(1 << 20);
        let refused = async |body| {
            whole(body, 100, &part, soon())
                .await
                .expect_err("a refusal")
        };
        let too_large = |bytes| Refused::TooLarge {
            bytes,
            bytes_max: 100,
        };
        let claims = trickle([message(4 << 20, 1)], false);
        assert_eq!(refused(claims).await, too_large(4 << 20));
        let has = trickle([message(100, 100), vec![0]], false);
        assert_eq!(refused(has).await, too_large(101));
        let cut_off = trickle([message(100, 99)], true);
        assert_eq!(refused(cut_off).await, Refused::CutOff);
        let at_once = http_body_util::Full::new(Bytes::from(message(100, 99)));
        let refused = whole(at_once, 100, &part, soon()).await;
        assert_eq!(refused.expect_err("a refusal"), Refused::CutOff);
        assert_eq!(part.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let part = part(1 << 20);
        let began = Instant::now();
        let late = whole(trickle([message(9, 3)], false), 100, &part, soon()).await;
        assert_eq!(late.expect_err("a refusal"), Refused::Late);
        assert!(began.elapsed() >= TIME_MAX);
        assert_eq!(part.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_there_is_no_room_for_is_refused_at_once() {
        let part = part(WAITING_BYTES + BLOCK_BYTES_MIN);
        let small = trickle([message(9, 9)], true);
        assert!(whole(small, BYTES_MAX, &part, soon()).await.is_ok());
        let larger = trickle([message(2_000, 2_000)], false);
        let refused = whole(larger, BYTES_MAX, &part, soon()).await;
        assert_eq!(refused.expect_err("a refusal"), Refused::NoRoom);
        assert_eq!(part.held(), 0);
    }
}
