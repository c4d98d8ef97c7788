//! What a group has used of its limits, and what its requests in flight hold. Time and amounts are given; nothing waits.
//!
//! A request counts in the window in which it was admitted, also if it ends in a later one. If the clock goes back by a moment,
//! nothing changes until a window begins that has not begun before: two threads may read the clock in one order and come here in
//! the other. If it goes back further, it was wrong before, and its windows do not count as begun: what the window had used to
//! which it returns stays used, and so does what was used since.
//!
//! A meter also keeps the history of its group, whatever limits that has. So a limit that comes later, returns, gets another
//! time zone or comes to a window a second time knows what that has used and what requests in flight hold.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmgate_base::history::History;
use wasmgate_base::time::UnixSeconds;

use crate::limit::{Amount, Exceeded, Limit, Measure, Standing, WhenSpent};
use crate::share::{Answer, Claim, Reach, Round, Sharing, Store};
use bucket::{Bucket, Turn};

mod bucket;

/// How far back a clock may go, in seconds, without having been wrong before: threads that read it at the same time.
const SLACK_SECONDS: u64 = 60;

/// The meter of one group. It outlives changes of the configuration.
#[derive(Debug)]
pub struct Meter {
    /// The group's name.
    name: Box<str>,
    /// Meters are locked in the order of their numbers.
    pub(crate) number: usize,
    state: Mutex<State>,
    /// How its limits are shared with other gateways; `None`: they are this gateway's alone.
    sharing: Option<Arc<Sharing>>,
    /// Whether it waits to tell the store something.
    is_due: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    buckets: Vec<Bucket>,
    /// Counts admissions: a reservation from before a bucket's window began is none of its own.
    admitted: u64,
    /// What settled requests used. If the limits are shared, only those that this process admitted: it reports them.
    history: History,
    /// If the limits are shared: what requests used before the start. The store has counted it under another name.
    restored: History,
    /// What the clock showed last, or a moment before.
    clock: UnixSeconds,
    /// The latest time that it has ever shown.
    furthest: UnixSeconds,
    /// Requests in flight.
    in_flight: u64,
    /// What all of them hold.
    held: Amount,
    /// Whether the store of shared limits can be asked, as read when the meter was locked.
    reach: Reach,
    /// Whether there is something to tell it before the next round.
    due: bool,
}

impl Meter {
    pub(crate) fn new(name: &str, number: usize, sharing: Option<Arc<Sharing>>) -> Self {
        Self { name: name.into(), number, state: Mutex::default(), sharing, is_due: AtomicBool::new(false) }
    }

    /// The group's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Measures by these limits from now on. What was used of a limit that stays, or that allows another number now, stays used;
    /// any other begins with what the history says. `exact`: if the limits are shared, nothing is borrowed ahead of a request.
    pub(crate) fn limit(&self, limits: &[Limit], exact: bool, now: UnixSeconds) {
        let slice = |limit: &Limit| self.sharing.as_ref().map(|sharing| sharing.slice(limit, exact));
        let mut state = self.lock();
        state.roll(now);
        let mut old = std::mem::take(&mut state.buckets);
        let buckets = limits
            .iter()
            .map(|limit| match old.iter().position(|bucket| bucket.limit.counts_same(limit)) {
                Some(known) => {
                    let known = old.swap_remove(known);
                    let loan = known.loan.zip(slice(limit)).map(|(loan, slice)| loan.with(slice));
                    Bucket { limit: limit.clone(), loan, ..known }
                }
                None => Bucket::joining(limit.clone(), now, &state, slice(limit)),
            })
            .collect();
        state.buckets = buckets;
    }

    /// Each limit, how it stands, and what requests in flight hold of it.
    #[must_use]
    pub fn standings(&self, now: UnixSeconds) -> Vec<(Limit, Standing, u64)> {
        let state = self.lock();
        let standing = |bucket: &Bucket| (bucket.limit.clone(), bucket.standing(state.reach), bucket.held);
        state.at(now).iter().map(standing).collect()
    }

    /// Adds what a request used that was admitted at `at`, as a ledger kept it.
    pub fn replay(&self, at: UnixSeconds, used: Amount, now: UnixSeconds) {
        let mut state = self.lock();
        state.roll(now);
        for bucket in &mut state.buckets {
            let counts = bucket.limit.measure != Measure::Concurrent;
            if counts && bucket.window.contains(at) {
                bucket.recall(used.of(bucket.limit.measure));
            }
        }
        self.past(&mut state).add(at, used.of_one_request());
    }

    /// Adds all that a history has, as a ledger kept it.
    pub fn restore(&self, history: &History, now: UnixSeconds) {
        let mut state = self.lock();
        state.roll(now);
        for bucket in &mut state.buckets {
            let used = bucket.past(history);
            bucket.recall(used);
        }
        self.past(&mut state).merge(history);
    }

    /// Where what a ledger kept belongs.
    fn past<'s>(&self, state: &'s mut State) -> &'s mut History {
        if self.sharing.is_some() { &mut state.restored } else { &mut state.history }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave half of a change: nothing in here panics between two.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sharing) = &self.sharing {
            state.reach = sharing.reach();
        }
        state
    }

    /// What is to be told to the store of shared limits, and to be asked of it.
    pub(crate) fn claims(self: &Arc<Self>, now: UnixSeconds, round: Round) -> Vec<Claim> {
        let Some(life) = self.sharing.as_ref().map(|sharing| sharing.life()) else { return Vec::new() };
        let mut state = self.lock();
        state.roll(now);
        let store = Store { reach: state.reach, life };
        let claims = state.buckets.iter_mut().filter_map(|bucket| {
            let terms = bucket.loan.as_mut()?.claim(&bucket.limit, [bucket.used, bucket.held], round, store)?;
            let (limit, since, ends) = (bucket.limit.clone(), bucket.latest, bucket.ends());
            Some(Claim { meter: Arc::clone(self), limit, since, ends, terms })
        });
        claims.collect()
    }

    pub(crate) fn answered(&self, claim: &Claim, answer: &Answer) {
        let mut state = self.lock();
        let of = |bucket: &&mut Bucket| bucket.limit.counts_same(&claim.limit) && bucket.latest == claim.since;
        if let Some(loan) = state.buckets.iter_mut().find(of).and_then(|bucket| bucket.loan.as_mut()) {
            loan.answered(&claim.terms, answer);
        }
    }

    /// Tells who speaks with the store that there is something due, if there is. `state` is this meter's.
    pub(crate) fn pass_on(self: &Arc<Self>, state: &mut State) {
        if let Some(sharing) = self.sharing.as_ref().filter(|_| std::mem::take(&mut state.due)) {
            sharing.note(self);
        }
    }

    /// Whether it was not due before.
    pub(crate) fn note_due(&self) -> bool {
        !self.is_due.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn taken_from_due(&self) {
        self.is_due.store(false, Ordering::Release);
    }
}

impl State {
    pub(crate) fn roll(&mut self, now: UnixSeconds) {
        if let Cow::Owned(buckets) = self.at(now) {
            self.buckets = buckets;
        }
        self.clock = if self.goes_back(now) { now } else { self.clock.max(now) };
        self.furthest = self.furthest.max(now);
    }

    /// Whether the clock was wrong before if it shows this now.
    fn goes_back(&self, now: UnixSeconds) -> bool {
        self.clock.saturating_sub(now) > SLACK_SECONDS
    }

    /// The buckets as they are at a time. Reading begins no window: who only looks, and reads another clock, changes nothing.
    fn at(&self, now: UnixSeconds) -> Cow<'_, [Bucket]> {
        let turn = Turn { went_back: self.goes_back(now), furthest: self.furthest };
        if !turn.went_back && self.buckets.iter().all(|bucket| bucket.window.contains(now)) {
            return Cow::Borrowed(&self.buckets);
        }
        let mut buckets = self.buckets.clone();
        buckets.iter_mut().for_each(|bucket| bucket.roll(now, self, turn));
        Cow::Owned(buckets)
    }

    /// The tightest standing of a measure, joined with one of another meter.
    pub(crate) fn tightest(&self, measure: Measure, now: UnixSeconds, other: Option<Standing>) -> Option<Standing> {
        let buckets = self.at(now);
        let own = buckets.iter().filter(|bucket| bucket.limit.measure == measure);
        let own = own.map(|bucket| bucket.standing(self.reach));
        own.chain(other).min_by_key(|standing| standing.left)
    }

    /// What is left of the tightest budget that refuses requests, joined with another meter's.
    pub(crate) fn room(&self, now: UnixSeconds, other: u64) -> u64 {
        let buckets = self.at(now);
        let own = buckets.iter().filter(|bucket| bucket.limit.measure == Measure::Money);
        let own = own.filter(|bucket| bucket.limit.when_spent != WhenSpent::Policy);
        own.map(|bucket| bucket.left(self.reach)).fold(other, u64::min)
    }

    /// The limit without room for `amount` whose window ends last, joined with one of another meter. `early`: before it is
    /// known which model answers, and so what a request costs.
    pub(crate) fn exceeded(
        &mut self,
        name: &str,
        amount: Amount,
        early: bool,
        other: Option<Exceeded>,
    ) -> Option<Exceeded> {
        let mut worst = other;
        let refuses = |limit: &Limit| match (limit.measure, limit.when_spent) {
            (Measure::Money, WhenSpent::Policy) => false,
            (Measure::Money, WhenSpent::LocalOnly) => !early,
            _ => true,
        };
        for bucket in self.buckets.iter_mut().filter(|bucket| refuses(&bucket.limit)) {
            let (needs, left) = (amount.of(bucket.limit.measure), bucket.left(self.reach));
            let free = if early { left } else { bucket.free(self.reach) };
            if needs <= free {
                continue;
            }
            let is_unknown = bucket.loan.is_some_and(|loan| loan.is_unknown(&bucket.limit, self.reach));
            let lacks = needs <= left || is_unknown && needs <= bucket.limit.most;
            // Others may have returned something since the store last answered.
            if let Some(loan) = bucket.loan.as_mut().filter(|_| !lacks) {
                (loan.asked, loan.refused, self.due) = (true, true, true);
            }
            // What can be borrowed is no refusal yet. A limit in total never ends; one of requests at a time may have room at any
            // moment.
            let rank = |lacks: bool, measure: Measure, ends: Option<UnixSeconds>| match (measure, ends) {
                _ if lacks => (false, 0),
                (Measure::Concurrent, _) => (true, 0),
                (_, Some(ends)) => (true, ends),
                (_, None) => (true, UnixSeconds::MAX),
            };
            let own = rank(lacks, bucket.limit.measure, bucket.ends());
            if worst.as_ref().is_none_or(|known| own > rank(known.lacks, known.limit.measure, known.ends)) {
                let (limit, ends) = (bucket.limit.clone(), bucket.ends());
                worst = Some(Exceeded { group: name.into(), limit, needs, left, ends, lacks });
            }
        }
        worst
    }

    /// Admits a request; its number.
    pub(crate) fn admit(&mut self, amount: Amount) -> u64 {
        self.admitted += 1;
        self.in_flight += 1;
        self.held = self.held.plus(amount);
        for bucket in &mut self.buckets {
            let needs = amount.of(bucket.limit.measure);
            match bucket.limit.measure {
                // It counts whatever becomes of it.
                Measure::Requests => bucket.used = bucket.used.saturating_add(needs),
                Measure::Tokens | Measure::Money | Measure::Concurrent => {
                    bucket.held = bucket.held.saturating_add(needs)
                }
            }
            let free = bucket.free(self.reach);
            if let Some(loan) = &mut bucket.loan {
                loan.asked = true;
                self.due |= free < loan.slice.div_ceil(2);
            }
        }
        self.admitted
    }

    /// Replaces what the request of this number held by what it used.
    pub(crate) fn settle(&mut self, number: u64, at: UnixSeconds, held: Amount, used: Amount) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.held = self.held.minus(held);
        self.history.add(at, used.of_one_request());
        for bucket in self.buckets.iter_mut().filter(|bucket| number > bucket.before) {
            let measure = bucket.limit.measure;
            let is_older = number <= bucket.joined;
            if measure != Measure::Requests || is_older {
                bucket.held = bucket.held.saturating_sub(held.of(measure));
            }
            let counts = match measure {
                Measure::Tokens | Measure::Money => !is_older || bucket.window.contains(at),
                // It was counted when it was admitted, if the limit was there.
                Measure::Requests => is_older && bucket.window.contains(at),
                Measure::Concurrent => false,
            };
            if counts {
                bucket.used = bucket.used.saturating_add(used.of(measure));
            }
            // What a request left goes back at once if the gateway keeps nothing ahead.
            self.due |= bucket.loan.is_some_and(|loan| loan.slice == 0);
        }
    }
}
