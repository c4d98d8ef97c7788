//! How one limit of a group stands, in the window of a time.

use wasmgate_base::time::UnixSeconds;

use super::State;
use crate::limit::{Limit, Measure, Standing};
use crate::share::{Loan, Reach};
use crate::window::Window;

/// How far back a clock may go, in seconds, without having been wrong before.
const SLACK_SECONDS: u64 = 3600;

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
    pub(super) fn new(limit: Limit, now: UnixSeconds, admitted: u64, slice: Option<u64>) -> Self {
        let window = limit.period.window(&limit.zone, now);
        let loan = slice.map(Loan::new);
        Self { latest: window.start, window, limit, before: admitted, joined: 0, used: 0, held: 0, loan }
    }

    /// The bucket of a limit that was not there before: it has used what the history says, and requests in flight hold what
    /// they hold, also those of an earlier window, until they are settled.
    pub(super) fn joining(limit: Limit, now: UnixSeconds, state: &State, slice: Option<u64>) -> Self {
        let bucket = Self::new(limit, now, 0, slice);
        let measure = bucket.limit.measure;
        let past = state.history.within(bucket.window.start, bucket.window.end);
        let (used, held) = match measure {
            Measure::Requests => (past.requests, 0),
            Measure::Tokens => (past.tokens, state.held.tokens),
            Measure::Money => (past.money, state.held.money),
            Measure::Concurrent => (0, state.in_flight),
        };
        Self { joined: state.admitted, used, held, ..bucket }
    }

    /// Begins the window of `now` if that is another one.
    pub(super) fn roll(&mut self, now: UnixSeconds, admitted: u64) {
        if self.window.contains(now) {
            return;
        }
        let window = self.limit.period.window(&self.limit.zone, now);
        if window.start > self.latest {
            *self = Self::new(self.limit.clone(), now, admitted, self.loan.map(|loan| loan.slice));
            return;
        }
        // The clock has gone back. Nobody gets anything a second time for it.
        if now < self.window.start && self.window.start - now > SLACK_SECONDS {
            self.latest = window.start;
        }
        self.window = window;
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
