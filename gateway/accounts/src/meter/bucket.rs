//! How one limit of a group stands, in the window of a time.

use wasmgate_base::history::History;
use wasmgate_base::time::UnixSeconds;

use super::State;
use crate::limit::{Limit, Measure, Standing};
use crate::share::{Loan, Reach};
use crate::window::Window;

/// What the clock did since a meter was asked before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Whether it went back by more than two threads can explain: it was wrong before.
    pub(super) went_back: bool,
    /// The latest time that it had ever shown.
    pub(super) furthest: UnixSeconds,
}

/// How one limit stands.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) limit: Limit,
    pub(super) window: Window,
    /// The beginning of the latest window that has begun.
    pub(super) latest: UnixSeconds,
    /// Admissions before that window began.
    pub(super) before: u64,
    /// Admissions before the limit was there. When one of these requests is settled, the bucket learns for the first time what
    /// it used.
    pub(super) joined: u64,
    pub(super) used: u64,
    /// What requests in flight hold.
    pub(super) held: u64,
    /// If the limit is shared: what this gateway has borrowed of it.
    pub(super) loan: Option<Loan>,
}

impl Bucket {
    /// The bucket of a limit in the window of `now`, in which no request in flight was admitted.
    fn new(limit: Limit, now: UnixSeconds, state: &State, slice: Option<u64>) -> Self {
        let window = limit.period.window(&limit.zone, now);
        let used = past(&state.history, limit.measure, window);
        let loan = slice.map(|slice| Loan::new(slice, used, past(&state.restored, limit.measure, window)));
        Self { latest: window.start, window, limit, before: state.admitted, joined: 0, used, held: 0, loan }
    }

    /// The bucket of a limit that was not there before, or not in this window of late: it has used what the history says, and
    /// requests in flight hold what they hold, also those of another window, until they are settled.
    pub(super) fn joining(limit: Limit, now: UnixSeconds, state: &State, slice: Option<u64>) -> Self {
        let bucket = Self::new(limit, now, state, None);
        let held = match bucket.limit.measure {
            Measure::Requests | Measure::Concurrent => state.in_flight,
            Measure::Tokens => state.held.tokens,
            Measure::Money => state.held.money,
        };
        let before_start = past(&state.restored, bucket.limit.measure, bucket.window);
        let loan = slice.map(|slice| Loan::new(slice, bucket.used.saturating_add(held), before_start));
        Self { before: 0, joined: state.admitted, held, loan, ..bucket }
    }

    /// Begins the window of `now` if that is another one. `turn`: what the clock did.
    pub(super) fn roll(&mut self, now: UnixSeconds, state: &State, turn: Turn) {
        let is_back = turn.went_back && now < self.latest;
        if self.window.contains(now) && !is_back {
            return;
        }
        let window = self.limit.period.window(&self.limit.zone, now);
        let slice = self.loan.map(|loan| loan.slice);
        if window.start > self.latest {
            // The clock may have been there before, and requests may be in flight that were admitted then.
            let is_known = window.start <= turn.furthest;
            let begin = if is_known { Self::joining } else { Self::new };
            *self = begin(self.limit.clone(), now, state, slice);
        } else if is_back {
            // The clock was wrong, and this window has not ended. What was used since stays used in it too.
            let joining = Self::joining(self.limit.clone(), now, state, slice);
            *self = Self { used: self.used.max(joining.used), ..joining };
        } else {
            // Two threads have read the clock in one order and come here in the other.
            self.window = window;
        }
    }

    /// What a history says was used of it in its window.
    pub(super) fn past(&self, history: &History) -> u64 {
        past(history, self.limit.measure, self.window)
    }

    /// Counts what a ledger says was used before the start. The store of a shared limit has counted it.
    pub(super) fn recall(&mut self, used: u64) {
        match &mut self.loan {
            Some(loan) => loan.replay(used),
            None => self.used = self.used.saturating_add(used),
        }
    }

    /// What requests can take of it without asking anybody.
    pub(super) fn free(&self, reach: Reach) -> u64 {
        let own = self.loan.map_or(self.limit.most, |loan| loan.own(&self.limit, reach));
        own.saturating_sub(self.used).saturating_sub(self.held)
    }

    /// What is left of it: also what could be borrowed.
    pub(super) fn left(&self, reach: Reach) -> u64 {
        let all = |loan: Loan| loan.own(&self.limit, reach).saturating_add(loan.pool(&self.limit, reach));
        let all = self.loan.map_or(self.limit.most, all).min(self.limit.most);
        all.saturating_sub(self.used).saturating_sub(self.held)
    }

    pub(super) fn ends(&self) -> Option<UnixSeconds> {
        Some(self.window.end).filter(|end| *end != UnixSeconds::MAX)
    }

    pub(super) fn standing(&self, reach: Reach) -> Standing {
        Standing { most: self.limit.most, used: self.used, left: self.left(reach), ends: self.ends() }
    }
}

/// What a history says was used of a measure in a window.
fn past(history: &History, measure: Measure, window: Window) -> u64 {
    let past = history.within(window.start, window.end);
    match measure {
        Measure::Requests => past.requests,
        Measure::Tokens => past.tokens,
        Measure::Money => past.money,
        Measure::Concurrent => 0,
    }
}
