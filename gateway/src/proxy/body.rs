//! The body of a response: complete, pending, or a stream as it is relayed. A stream owns the in-flight request, so that
//! its record and permit end with the body, in one of four ways: finished, failed, abandoned, gateway stopping.
//!
//! The connection asks a body for more only when its client has taken what came before. A client that takes nothing
//! therefore stops all that the body does by itself, its timers included. So the body of each answer that is not sent at
//! once is shared with the watchdog, which ends what its client holds up.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Interval;

use super::in_flight::InFlight;
use super::memory::Held;
use super::watchdog::Watchdog;
use crate::dispatch::relay::Relay;
use crate::metrics::labels::{Abandonment, Ending};
use crate::net::Busy;

/// The keep-alive comment of an event stream.
const COMMENT: &[u8] = b": waiting for the model\n\n";
/// Most bytes of a complete answer that the connection gets at once. A client must take that much within the write
/// timeout.
const PIECE: usize = 64 << 10;

/// The body of a response.
pub struct ResponseBody {
    content: Content,
}

enum Content {
    /// Seen by the connection alone: sent at once.
    Own(Progress),
    /// Shared with the watchdog.
    Watched(Arc<Watched>),
}

/// A body that the watchdog may end.
pub(super) struct Watched {
    progress: Mutex<Progress>,
}

/// The content still to send.
struct Progress {
    state: State,
    // When the connection took the last bytes of a state other than `Relay`; `None` once it asked for more.
    handed: Option<Instant>,
    // Given back with the last bytes.
    busy: Option<Busy>,
}

/// What is still to send.
pub(super) enum State {
    /// Complete. Its record was closed when it was complete.
    Whole {
        /// The bytes still to send.
        bytes: Bytes,
        /// Their share of the memory of all answers.
        _memory: Option<Held>,
    },
    /// Pending. Until `then` resolves, the client gets keep-alive comments, which clients ignore.
    Waiting {
        /// What follows. It owns the in-flight request.
        then: Pin<Box<dyn Future<Output = State> + Send>>,
        /// When the next comment is due.
        tick: Interval,
        /// Set before `then` is dropped because its client is slow.
        slow: Arc<AtomicBool>,
    },
    /// A stream, relayed as the backend sends it.
    Relay {
        /// The stream.
        relay: Box<Relay>,
        /// The request it answers.
        in_flight: InFlight,
    },
    /// Nothing: the body has ended.
    Ended,
    /// The watchdog ended it.
    Cut,
}

/// Why a body breaks off: its client took nothing for too long.
#[derive(Debug)]
pub struct SlowClient;

impl std::fmt::Display for SlowClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client read too slowly, so the gateway ended its answer")
    }
}

impl std::error::Error for SlowClient {}

impl State {
    /// These bytes.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole { bytes: bytes.into(), _memory: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SlowClient>>> {
        if let Self::Waiting { then, tick, .. } = self {
            let Poll::Ready(next) = then.as_mut().poll(context) else {
                let _ = ready!(tick.poll_tick(context));
                return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
            };
            *self = next;
        }
        match self {
            Self::Whole { bytes, .. } => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                if bytes.is_empty() {
                    *self = Self::Ended;
                }
                Poll::Ready((!piece.is_empty()).then_some(Ok(piece)))
            }
            Self::Relay { relay, in_flight } => match ready!(relay.poll(context, &mut in_flight.record)) {
                Ok(bytes) => Poll::Ready(Some(Ok(bytes))),
                Err(ending) => {
                    in_flight.close(ending);
                    *self = Self::Ended;
                    Poll::Ready(None)
                }
            },
            // `then` never resolves to `Waiting`.
            Self::Waiting { .. } | Self::Ended => Poll::Ready(None),
            Self::Cut => Poll::Ready(Some(Err(SlowClient))),
        }
    }

    /// Ends it because its client is slow.
    fn abandon(self, now: Instant) {
        match self {
            Self::Relay { relay, mut in_flight } => {
                if let Some(since) = relay.waits_for_client_since() {
                    in_flight.record.client_held += now.saturating_duration_since(since);
                }
                in_flight.record.detail = SlowClient.to_string();
                in_flight.close(Ending::Abandoned(Abandonment::SlowClient));
            }
            // The request in `then` reads it when it is dropped.
            Self::Waiting { slow, .. } => slow.store(true, Ordering::Relaxed),
            Self::Whole { .. } | Self::Ended | Self::Cut => {}
        }
    }
}

impl Progress {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SlowClient>>> {
        self.handed = None;
        let polled = self.state.poll(context);
        match &self.state {
            State::Ended | State::Cut => self.busy = None,
            // A relay notes it by itself, with a clock that it has read anyway.
            State::Relay { .. } => {}
            State::Whole { .. } | State::Waiting { .. } => self.handed = polled.is_ready().then(Instant::now),
        }
        polled
    }

    /// Whether its client has taken nothing for `write_timeout`, or holds a stream up past the time of its end.
    fn is_held_up(&self, now: Instant, write_timeout: Duration) -> bool {
        let (handed, over) = match &self.state {
            State::Relay { relay, .. } => (relay.waits_for_client_since(), now >= relay.total()),
            State::Whole { .. } | State::Waiting { .. } => (self.handed, false),
            State::Ended | State::Cut => (None, false),
        };
        handed.is_some_and(|since| over || now.saturating_duration_since(since) >= write_timeout)
    }
}

impl Watched {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the body if its client holds it up. Returns whether the body still needs watching.
    pub(super) fn watch(&self, now: Instant, write_timeout: Duration) -> bool {
        let mut progress = self.progress();
        if progress.is_held_up(now, write_timeout) {
            let cut = std::mem::replace(&mut progress.state, State::Cut);
            progress.busy = None;
            drop(progress);
            cut.abandon(now);
            return false;
        }
        !matches!(progress.state, State::Ended | State::Cut)
    }
}

impl ResponseBody {
    /// A complete body with no record to close.
    #[must_use]
    pub fn plain(bytes: impl Into<Bytes>) -> Self {
        State::whole(bytes).into()
    }

    /// Keeps the connection busy until the body ends, and lets the watchdog see a body that is not sent at once.
    /// `multiplexed`: the connection has streams with windows of their own, so that nothing is certain to be sent.
    #[must_use]
    pub(super) fn sent_over(self, busy: Busy, watchdog: &Watchdog, multiplexed: bool) -> Self {
        let Content::Own(mut progress) = self.content else { return self };
        progress.busy = Some(busy);
        let at_once = match &progress.state {
            State::Whole { bytes, .. } => bytes.is_empty() || !multiplexed && bytes.len() <= PIECE,
            _ => false,
        };
        if at_once {
            return Self { content: Content::Own(progress) };
        }
        let watched = Arc::new(Watched { progress: Mutex::new(progress) });
        watchdog.add(&watched);
        Self { content: Content::Watched(watched) }
    }
}

impl From<State> for ResponseBody {
    fn from(state: State) -> Self {
        Self { content: Content::Own(Progress { state, handed: None, busy: None }) }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = SlowClient;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SlowClient>>> {
        let polled = match &mut self.get_mut().content {
            Content::Own(progress) => progress.poll(context),
            Content::Watched(watched) => watched.progress().poll(context),
        };
        polled.map(|next| next.map(|frame| frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let ended = |state: &State| match state {
            State::Ended => true,
            State::Whole { bytes, .. } => bytes.is_empty(),
            State::Waiting { .. } | State::Relay { .. } | State::Cut => false,
        };
        match &self.content {
            Content::Own(progress) => ended(&progress.state),
            Content::Watched(watched) => ended(&watched.progress().state),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |state: &State| match state {
            State::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            State::Ended => SizeHint::with_exact(0),
            State::Waiting { .. } | State::Relay { .. } | State::Cut => SizeHint::default(),
        };
        match &self.content {
            Content::Own(progress) => hint(&progress.state),
            Content::Watched(watched) => hint(&watched.progress().state),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;
    use crate::net::Activity;

    fn poll(body: &mut ResponseBody) -> Option<Result<usize, ()>> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(next) = Pin::new(body).poll_frame(&mut context) else { panic!("it waits") };
        next.map(|frame| frame.map(|frame| frame.into_data().unwrap().len()).map_err(|_slow| ()))
    }

    fn watched(bytes: usize) -> (ResponseBody, Arc<Watched>, Arc<Activity>) {
        let activity = Arc::new(Activity::default());
        let body = ResponseBody::plain(vec![b'x'; bytes]);
        let body = body.sent_over(activity.begin(true), &Watchdog::default(), true);
        let Content::Watched(watched) = &body.content else { panic!("it is sent at once") };
        let watched = Arc::clone(watched);
        (body, watched, activity)
    }

    #[test]
    fn a_long_answer_goes_out_in_pieces_and_ends_when_its_client_takes_none() {
        let timeout = Duration::from_secs(60);
        let (mut body, watched, activity) = watched(3 * PIECE);
        assert_eq!(body.size_hint().exact(), Some(3 * PIECE as u64));
        assert!(watched.watch(Instant::now() + 2 * timeout, timeout), "the connection has not asked for anything yet");
        assert_eq!(poll(&mut body), Some(Ok(PIECE)));
        assert!(watched.watch(Instant::now(), timeout));
        assert_eq!(poll(&mut body), Some(Ok(PIECE)));
        assert!(activity.is_busy());
        assert!(!watched.watch(Instant::now() + timeout, timeout));
        assert!(!activity.is_busy());
        assert_eq!(poll(&mut body), Some(Err(())), "it never ends like a whole answer");
    }

    #[test]
    fn an_answer_that_was_taken_needs_no_watching() {
        let (mut body, watched, activity) = watched(PIECE + 1);
        assert_eq!(poll(&mut body), Some(Ok(PIECE)));
        assert!(!body.is_end_stream());
        assert_eq!(poll(&mut body), Some(Ok(1)));
        assert!(body.is_end_stream() && !activity.is_busy());
        assert!(!watched.watch(Instant::now(), Duration::ZERO));
        assert_eq!(poll(&mut body), None);
    }

    #[test]
    fn a_short_answer_on_a_connection_of_its_own_needs_no_watching() {
        let activity = Arc::new(Activity::default());
        let mut body = ResponseBody::plain("short").sent_over(activity.begin(false), &Watchdog::default(), false);
        assert!(matches!(body.content, Content::Own(_)) && activity.is_busy());
        assert_eq!((poll(&mut body), poll(&mut body)), (Some(Ok(5)), None));
        assert!(!activity.is_busy());
    }
}
