//! The sixteen scenarios: what the primary does, and what is demanded besides whole answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmgate_tests::backend::{Backend, Gate, Reply};

use super::room::{Room, Variant, primary, streams};
use super::seen::{Seen, Who, demand, grade};
use super::{Graded, Verdict};

/// A scenario.
pub(super) struct Scenario {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Runs it.
    pub(super) run: fn(Variant) -> Graded,
}

/// All.
pub(super) const SCENARIOS: [Scenario; 16] = [
    Scenario { name: "dead-port", run: dead_port },
    Scenario { name: "status-5xx", run: status_5xx },
    Scenario { name: "429-with-retry-after", run: |variant| busy(variant, "retry-after: 30\r\n") },
    Scenario { name: "429-without", run: |variant| busy(variant, "") },
    Scenario { name: "hang-before-head", run: hang_before_head },
    Scenario { name: "hang-before-first-token", run: hang_before_first_token },
    Scenario { name: "slow-first-token", run: slow_first_token },
    Scenario { name: "stall-mid-stream", run: stall },
    Scenario { name: "cut-mid-stream", run: |variant| broken(variant, "", |begun| begun.cut()) },
    Scenario { name: "error-mid-stream", run: |variant| broken(variant, "", |begun| begun.frames([IN_BAND]).end()) },
    Scenario { name: "error-in-place-of-200", run: error_first },
    Scenario { name: "no-done", run: |variant| usable(variant, no_done) },
    Scenario { name: "garbage-chunk", run: |variant| usable(variant, garbage) },
    Scenario { name: "hang-not-streamed", run: hang_not_streamed },
    Scenario { name: "flapping", run: flapping },
    Scenario { name: "outage-and-recovery", run: outage },
];

const IN_BAND: &str = "data: {\"error\": {\"message\": \"words of the backend\", \"type\": \"server_error\"}}\n\n";

/// The default deadlines of a cloud stream, scaled from half a minute.
const DEADLINES: &str =
    "[backends.primary.timeouts]\nhead_seconds = 0.5\nfirst_token_seconds = 0.5\nidle_seconds = 0.5\n";

/// The default pauses of a breaker, a twentieth of each.
const BREAKER: &str =
    "[backends.primary.breaker]\nretry_seconds = 0.25\nmax_retry_seconds = 0.75\nramp_seconds = 0.5\n";
/// A model that is well again must be in use after so long: several times the longest pause of its breaker.
const RECOVERY: Duration = Duration::from_secs(4);
/// Calls that try a model while its breaker is open. If the pause doubled after each, the next would come after twice the
/// time that `RECOVERY` allows.
const TRIALS: usize = 5;
/// The time between two requests of a client that asks steadily.
const PACE: Duration = Duration::from_millis(20);

/// Nothing listens at the primary's address.
fn dead_port(variant: Variant) -> Graded {
    grade(&Room::open(variant, &Backend::nowhere(), "").ask_often(20))
}

/// The primary answers each call with 500 or 503. It must not be called as often as it is well.
fn status_5xx(variant: Variant) -> Graded {
    let primary = Backend::start(|request| Reply::json(500 + 3 * (request.number as u16 % 2), &json!({})));
    let room = Room::open(variant, &primary.url(), "");
    let graded = grade(&room.ask_often(30));
    let calls = primary.requests().len();
    demand(graded, calls <= 15, &format!("{calls} calls of a model that fails, for 30 requests"))
}

/// The primary answers each call with 429. It asked for less traffic, so it must get less.
fn busy(variant: Variant, header: &'static str) -> Graded {
    let primary = Backend::start(move |_| {
        Reply::raw(format!("HTTP/1.1 429 Scripted\r\n{header}content-length: 2\r\n\r\n{{}}").as_bytes())
    });
    let room = Room::open(variant, &primary.url(), "");
    let graded = grade(&room.ask_often(30));
    let calls = primary.requests().len();
    demand(graded, calls <= 15, &format!("{calls} calls of a model that asked for less, for 30 requests"))
}

/// The primary takes the call and says nothing.
fn hang_before_head(variant: Variant) -> Graded {
    let primary = primary(|_| Reply::silent().stall());
    grade(&Room::open(variant, &primary.url(), DEADLINES).streams(2))
}

/// The primary sends a head and a comment, and no token.
fn hang_before_first_token(variant: Variant) -> Graded {
    let primary = primary(|_| Reply::stream("text/event-stream").frames([": ping\n\n"]).stall());
    grade(&Room::open(variant, &primary.url(), DEADLINES).streams(2))
}

/// The first token takes longer than a client waits, and less than any deadline. A pass is an answer while it is not there.
fn slow_first_token(variant: Variant) -> Graded {
    const PATIENCE: Duration = Duration::from_secs(6);
    let gate = Gate::default();
    let waits = gate.clone();
    let primary = primary(move |_| Reply::silent().gate(&waits).and(Who::Primary.well(true)));
    let room = Room::open(variant, &primary.url(), "");
    std::thread::scope(|scope| {
        let (answered, answers) = channel();
        let room = &room;
        scope.spawn(move || answered.send(room.ask(true)));
        let early = answers.recv_timeout(PATIENCE);
        gate.open();
        match early {
            Ok(seen) => grade(&[seen]),
            Err(_) => match answers.recv() {
                Ok(seen) if seen.is_whole() => (Verdict::Partial, "the client waited for the first token".into()),
                seen => (Verdict::Fail, format!("{seen:?} after the first token came")),
            },
        }
    })
}

/// The primary sends the beginning of an answer.
fn broken(variant: Variant, settings: &str, then: fn(Reply) -> Reply) -> Graded {
    let primary = primary(move |_| then(Reply::stream("text/event-stream").frames(&Who::Primary.frames()[..3])));
    grade(&Room::open(variant, &primary.url(), settings).streams(2))
}

/// The primary stops in the middle of an answer, without closing.
fn stall(variant: Variant) -> Graded {
    broken(variant, DEADLINES, Reply::stall)
}

/// The primary answers 200, and the first event is an error.
fn error_first(variant: Variant) -> Graded {
    let primary = primary(|_| Reply::stream("text/event-stream").frames([IN_BAND]).end());
    grade(&Room::open(variant, &primary.url(), "").streams(12))
}

/// The primary's streams have a fault that leaves them usable, so that it must stay in use.
fn usable(variant: Variant, frames: fn() -> Vec<String>) -> Graded {
    let primary = primary(move |_| Reply::stream("text/event-stream").frames(frames()).end());
    let room = Room::open(variant, &primary.url(), "");
    let seen = room.streams(15);
    let by_fallback = seen.iter().filter(|seen| **seen == Seen::Whole(Who::Fallback)).count();
    let stays = by_fallback == 0 && room.is_closed("primary");
    demand(grade(&seen), stays, &format!("{by_fallback} of 15 by the fallback although the primary's are usable"))
}

/// A finish reason, usage and the end of the body, without `[DONE]`.
fn no_done() -> Vec<String> {
    let mut frames = Who::Primary.frames();
    frames.pop();
    frames
}

/// One chunk is no JSON.
fn garbage() -> Vec<String> {
    let mut frames = Who::Primary.frames();
    frames.insert(2, "data: {\"choices\": [{\"delta\n\n".into());
    frames
}

/// The primary takes a call for an answer that is not streamed, and says nothing. The fallback must have time to answer,
/// and must not be blamed for what it did not do.
fn hang_not_streamed(variant: Variant) -> Graded {
    let primary = Backend::start(|_| Reply::silent().stall());
    let total = "[models.primary.timeouts]\ntotal_seconds = 6\n[models.fallback.timeouts]\ntotal_seconds = 6\n";
    let variant = Variant { hedged: false, ..variant };
    let room = Room::open(variant, &primary.url(), total);
    let graded = grade(&[room.ask(false)]);
    let called = room.fallback.requests().len();
    match room.is_up("fallback") {
        true => graded,
        false => (Verdict::Fail, format!("the fallback counts as down, after {called} calls of it: {}", graded.1)),
    }
}

/// A primary that is well or answers 503 as it is told, and a client that asks it steadily.
struct Switched {
    well: Arc<AtomicBool>,
    primary: Backend,
    room: Room,
    seen: Vec<Seen>,
}

impl Switched {
    fn start(variant: Variant) -> Self {
        let well = Arc::new(AtomicBool::new(true));
        let is_well = Arc::clone(&well);
        let primary = Backend::start(move |request| match is_well.load(Ordering::Relaxed) {
            true => Who::Primary.well(streams(request)),
            false => Reply::json(503, &json!({})),
        });
        let room = Room::open(variant, &primary.url(), BREAKER);
        Self { well, primary, room, seen: Vec::new() }
    }

    /// Asks once, at the client's pace.
    fn ask(&mut self) -> Seen {
        let seen = self.room.ask(self.seen.len().is_multiple_of(2));
        self.seen.push(seen.clone());
        std::thread::sleep(PACE);
        seen
    }

    /// The primary is down: asks until its breaker is open and so many calls have tried it.
    fn fails(&mut self, trials: usize) {
        self.well.store(false, Ordering::Relaxed);
        while self.room.is_closed("primary") {
            let _ = self.ask();
        }
        let tried = self.primary.requests().len() + trials;
        while self.primary.requests().len() < tried {
            let _ = self.ask();
        }
    }

    /// The primary is well: asks until it answers; whether that was soon enough.
    fn recovers(&mut self) -> bool {
        self.well.store(true, Ordering::Relaxed);
        let due = Instant::now() + RECOVERY;
        while self.ask() != Seen::Whole(Who::Primary) {
            if Instant::now() > due {
                return false;
            }
        }
        true
    }
}

/// The primary is down and well by turns, each time long enough for its breaker to open and to close.
fn flapping(variant: Variant) -> Graded {
    const TURNS: usize = 6;
    let mut primary = Switched::start(variant);
    let mut recovered = 0;
    for _ in 0..TURNS {
        primary.fails(0);
        recovered += usize::from(primary.recovers());
        while !primary.room.is_closed("primary") {
            let _ = primary.ask();
        }
        for _ in 0..5 {
            let _ = primary.ask();
        }
    }
    let what = format!("in use again in {recovered} of {TURNS} times that it was well");
    demand(grade(&primary.seen), recovered == TURNS, &what)
}

/// The primary is down for a long time, and then well.
fn outage(variant: Variant) -> Graded {
    let mut primary = Switched::start(variant);
    let _ = primary.ask();
    primary.fails(TRIALS);
    let recovers = primary.recovers();
    demand(grade(&primary.seen), recovers, &format!("not in use {RECOVERY:?} after it was well"))
}
