//! Limits that several gateways share. A store that all of them reach knows what each of them has borrowed of a limit; a gateway
//! admits requests by what it has borrowed, without asking. Here is what one gateway knows of its loans, and what it has to tell
//! the store and to ask of it. Time, answers and the state of the store are given; nothing waits.
//!
//! **The bound.** What all gateways together borrow of a limit is at most the limit, so that what they use is within it, plus,
//! for each request, what it used beyond what it had reserved. What a gateway has borrowed and not used is idle money of the
//! others: at most a slice for each gateway, and what its requests in flight hold.
//!
//! **Everything that a gateway reports is a total since the window began**, never a difference: what was borrowed, returned and used. So
//! a message that is lost, repeated or late changes nothing, and a store that lost its memory learns it anew.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmgate_base::time::UnixSeconds;

use crate::limit::{Amount, Limit, Measure};
use crate::meter::Meter;
use crate::window::Period;

/// Rounds without a request after which a gateway returns what it has of a limit.
const IDLE_ROUNDS: u32 = 30;

/// How this gateway shares its limits with other gateways.
pub struct Sharing {
    slice_percent: f64,
    reach: AtomicU64,
    life: AtomicU64,
    /// Meters that have something to tell the store before the next round.
    due: Mutex<Vec<Arc<Meter>>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// Whether the store can be asked, and what holds if it cannot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// The store answers.
    #[default]
    Reached,
    /// It does not: requests take what was borrowed before.
    BorrowedOnly,
    /// It does not: no request takes anything.
    Closed,
    /// It does not: requests and tokens are admitted up to the limit divided by this many gateways. Money is as with
    /// `BorrowedOnly`.
    LocalShare(u32),
}

impl Sharing {
    /// `slice_percent`: how much of a limit a gateway borrows ahead, in percent; the configuration allows 0 to 50. `wake` is called
    /// when there is something due; it must not wait. The store counts as not reached until `set_reach`.
    #[must_use]
    pub fn new(slice_percent: f64, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let (reach, life) = (AtomicU64::new(0), AtomicU64::new(0));
        let sharing = Self { slice_percent, reach, life, due: Mutex::default(), wake };
        sharing.set_reach(Reach::BorrowedOnly);
        sharing
    }

    /// Whether the store can be asked.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self.reach.load(Ordering::Relaxed) {
            0 => Reach::Reached,
            1 => Reach::BorrowedOnly,
            2 => Reach::Closed,
            more => Reach::LocalShare(u32::try_from(more - 2).unwrap_or(u32::MAX)),
        }
    }

    /// Says whether the store can be asked, and what holds if it cannot.
    pub fn set_reach(&self, reach: Reach) {
        let number = match reach {
            Reach::Reached => 0,
            Reach::BorrowedOnly => 1,
            Reach::Closed => 2,
            Reach::LocalShare(gateways) => 2 + u64::from(gateways.max(1)),
        };
        self.reach.store(number, Ordering::Relaxed);
    }

    /// The life of the store, from 1: another number if it may have lost its memory. 0: it was never reached.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life.load(Ordering::Relaxed)
    }

    /// Says that the store may have lost its memory: each limit tells it all that it told before.
    pub fn begin_life(&self) {
        self.life.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the meters that have something to tell the store.
    #[must_use]
    pub fn take_due(&self) -> Vec<Arc<Meter>> {
        let due = std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner));
        // Before its claims are read, so that what comes later is noted anew.
        due.iter().for_each(|meter| meter.taken_from_due());
        due
    }

    pub(crate) fn note(&self, meter: &Arc<Meter>) {
        if meter.note_due() {
            self.due.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(meter));
            (self.wake)();
        }
    }

    /// How much of a limit a gateway borrows ahead: nothing if it would be less than one, or if each request asks.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
    pub(crate) fn slice(&self, limit: &Limit, exact: bool) -> u64 {
        if exact { 0 } else { (limit.most as f64 * self.slice_percent / 100.0) as u64 }
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").field("slice_percent", &self.slice_percent).field("reach", &self.reach()).finish()
    }
}

/// The store as it is when a round begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Store {
    pub(crate) reach: Reach,
    pub(crate) life: u64,
}

/// What the gateway has borrowed of one limit in the present window: totals since it began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Loan {
    pub(crate) slice: u64,
    borrowed: u64,
    returned: u64,
    /// What all gateways together had taken of the limit, as the store last said.
    taken: u64,
    /// What the store knows: borrowed, returned, used.
    known: [u64; 3],
    /// The life of the store that knows this loan; 0: none has answered yet.
    life: u64,
    /// Whether a request asked for some since the last round.
    pub(crate) asked: bool,
    /// Whether a request was refused since the store last answered, so that its answer may be out of date.
    pub(crate) refused: bool,
    /// Rounds since a request asked for some.
    idle: u32,
}

impl Loan {
    /// The loan of a limit of which requests of this process have used or hold some, and others used some before the start. The
    /// store may know more of it, from before the limit left or the clock was wrong.
    pub(crate) fn new(slice: u64, own: u64, before_start: u64) -> Self {
        Self { slice, borrowed: own, taken: own.saturating_add(before_start), ..Self::default() }
    }

    pub(crate) fn with(self, slice: u64) -> Self {
        Self { slice, ..self }
    }

    /// What this gateway may use of the limit in the window, used and held included.
    pub(crate) fn own(&self, limit: &Limit, reach: Reach) -> u64 {
        let borrowed = self.borrowed.saturating_sub(self.returned);
        let own = match reach {
            Reach::Closed => 0,
            Reach::LocalShare(gateways) if limit.measure != Measure::Money => {
                borrowed.max(limit.most / u64::from(gateways))
            }
            Reach::Reached | Reach::BorrowedOnly | Reach::LocalShare(_) => borrowed,
        };
        own.min(limit.most)
    }

    /// What nobody had borrowed yet, as the store last said.
    pub(crate) fn pool(&self, limit: &Limit, reach: Reach) -> u64 {
        match reach {
            // What is beyond the share cannot be had.
            Reach::LocalShare(_) if limit.measure != Measure::Money => 0,
            _ => limit.most.saturating_sub(self.taken),
        }
    }

    /// Whether a request that finds no room may have some once the store answers: nobody knows what is left.
    pub(crate) fn is_unknown(&self, limit: &Limit, reach: Reach) -> bool {
        match reach {
            Reach::Reached => false,
            Reach::LocalShare(_) => limit.measure == Measure::Money,
            Reach::BorrowedOnly | Reach::Closed => true,
        }
    }

    /// Adds what a ledger says was used in the window before the gateway started. The store knows it, unless it lost its memory.
    pub(crate) fn replay(&mut self, used: u64) {
        if self.life == 0 {
            self.taken = self.taken.saturating_add(used);
        }
    }

    /// What to tell and to ask in a round; `None`: nothing. `used` and `held`: of the limit, in the window.
    pub(crate) fn claim(&mut self, limit: &Limit, [used, held]: [u64; 2], round: Round, store: Store) -> Option<Terms> {
        let holds = used.saturating_add(held);
        // What requests took beyond what was borrowed is borrowed after the fact.
        self.borrowed = self.borrowed.max(self.returned.saturating_add(holds));
        let mut spare = self.borrowed - self.returned - holds;
        let (mut min, mut want) = (0, 0);
        match round {
            Round::Lacking(amount) => {
                min = amount.of(limit.measure).saturating_sub(spare);
                if min == 0 {
                    return None;
                }
                want = min.saturating_add(self.slice);
                self.asked = true;
            }
            Round::Due | Round::Beat { .. } | Round::Last => {
                self.idle = match round {
                    _ if self.asked => 0,
                    Round::Beat { .. } => self.idle.saturating_add(1),
                    _ => self.idle,
                };
                self.asked &= !matches!(round, Round::Beat { .. });
                let is_idle = matches!(round, Round::Last) || self.idle >= IDLE_ROUNDS;
                let keep = if is_idle { 0 } else { self.slice };
                let back = spare.saturating_sub(keep);
                self.returned += back;
                spare -= back;
                let lends = store.reach == Reach::Reached && self.taken < limit.most;
                if lends && !is_idle && self.idle == 0 && spare < self.slice.div_ceil(2) {
                    want = self.slice - spare;
                }
            }
        }
        let now = [self.borrowed, self.returned, used];
        let is_asked = std::mem::take(&mut self.refused);
        let renews = matches!(round, Round::Beat { renew: true });
        // A store that has just begun its life may have forgotten what it said in the one before. Requests at a time that nobody
        // speaks of are none.
        let is_new = self.life != store.life && limit.measure != Measure::Concurrent;
        let since_then = self.returned.saturating_sub(self.known[1]);
        let floor = if is_new { self.taken.saturating_sub(since_then) } else { 0 };
        // The bucket of a limit in total has no end of its own.
        let last = matches!(round, Round::Last);
        let leaves = last && limit.period == Period::Total && self.known != [0; 3];
        let says = now != self.known || want > 0 || is_asked || floor > 0 || renews || leaves;
        says.then_some(Terms { borrowed: self.borrowed, returned: self.returned, used, min, want, floor, last })
    }

    pub(crate) fn answered(&mut self, terms: &Terms, answer: &Answer) {
        self.borrowed = self.borrowed.max(answer.borrowed);
        self.returned = self.returned.max(answer.returned);
        self.known = [answer.borrowed, answer.returned, terms.used];
        (self.taken, self.life) = (answer.taken, answer.life);
    }
}

/// Why loans are looked at.
#[derive(Debug, Clone, Copy)]
pub enum Round {
    /// A request needs this much and found less.
    Lacking(Amount),
    /// The meter noted that something is due.
    Due,
    /// A beat of the clock, for all limits.
    Beat {
        /// Whether all leases are extended, and all answers refreshed.
        renew: bool,
    },
    /// The gateway stops: all that is not used goes back.
    Last,
}

/// What a gateway tells the store of one limit, and what it asks. Totals since the window began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// All that it borrowed.
    pub borrowed: u64,
    /// What it returned of that.
    pub returned: u64,
    /// What its requests used.
    pub used: u64,
    /// The least that helps; less is not granted.
    pub min: u64,
    /// What it would like to borrow more; 0: nothing.
    pub want: u64,
    /// What all gateways had taken, as the store said in an earlier life; 0 if it said so in this one.
    pub floor: u64,
    /// Whether the gateway stops, so that the store may forget in a while what it said.
    pub last: bool,
}

/// What the store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// All that the gateway has borrowed in the window, by the store's account.
    pub borrowed: u64,
    /// What of that the gateway has returned, by the store's account.
    pub returned: u64,
    /// What all gateways together have taken of the limit.
    pub taken: u64,
    /// The life of the store in which it was asked.
    pub life: u64,
}

/// One limit of a meter, with what is to be told and asked.
#[derive(Debug)]
pub struct Claim {
    pub(crate) meter: Arc<Meter>,
    /// The limit.
    pub limit: Limit,
    /// When the window began.
    pub since: UnixSeconds,
    /// When it ends; `None`: never.
    pub ends: Option<UnixSeconds>,
    /// See there.
    pub terms: Terms,
}

impl Claim {
    /// The name of the limit's group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.meter.name()
    }

    /// Takes the store's answer. An answer for a window that is over changes nothing.
    pub fn answered(&self, answer: &Answer) {
        self.meter.answered(self, answer);
    }
}

#[cfg(test)]
mod tests;
