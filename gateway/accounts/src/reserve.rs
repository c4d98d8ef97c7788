//! Reservations: a request is admitted by all groups of its chain, or by none; what it holds until it ends is settled with what
//! it used, whatever way it ends.
//!
//! **The bound.** What requests used of a limit in a window is at most the limit, plus, for each of them, what it used beyond
//! what it had reserved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmgate_base::history::History;
use wasmgate_base::time::UnixSeconds;

use crate::accounts::Accounts;
use crate::group::{Group, MAX_DEPTH};
use crate::limit::{Amount, Exceeded, Limit, Measure, Standing};
use crate::meter::Meter;
use crate::share::{Claim, Round, Sharing};

/// The meters of all groups that the process has known. A group that leaves the configuration and returns finds its own.
#[derive(Debug, Default)]
pub struct Meters {
    known: Mutex<HashMap<Box<str>, Arc<Meter>>>,
    sharing: Option<Arc<Sharing>>,
}

impl Meters {
    /// Meters of limits that several gateways share.
    #[must_use]
    pub fn shared(sharing: Arc<Sharing>) -> Self {
        Self { sharing: Some(sharing), ..Self::default() }
    }

    /// How the limits are shared; `None`: they are not.
    #[must_use]
    pub fn sharing(&self) -> Option<&Arc<Sharing>> {
        self.sharing.as_ref()
    }

    /// What is to be told to the store of shared limits, and to be asked of it: of `due` meters, or of all.
    #[must_use]
    pub fn claims(&self, due: Option<&[Arc<Meter>]>, round: Round, now: UnixSeconds) -> Vec<Claim> {
        let all = || self.known.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let meters: Vec<Arc<Meter>> = due.map_or_else(all, <[_]>::to_vec);
        meters.iter().flat_map(|meter| meter.claims(now, round)).collect()
    }

    /// The meter of a group, which need not be in the configuration: what a ledger says of it counts if it returns.
    #[must_use]
    pub fn of(&self, group: &str) -> Arc<Meter> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = known.get(group) {
            return Arc::clone(meter);
        }
        let meter = Arc::new(Meter::new(group, known.len(), self.sharing.clone()));
        known.insert(group.into(), Arc::clone(&meter));
        meter
    }

    /// The chains of all groups of `accounts`, in their order. Their limits hold from now on, for requests in flight too.
    #[must_use]
    pub fn chains(&self, accounts: &Accounts, now: UnixSeconds) -> Vec<Chain> {
        let meter = |group: &Group| {
            let meter = self.of(&group.name);
            meter.limit(&group.limits, group.exact, now);
            meter
        };
        let meters: Vec<Arc<Meter>> = accounts.groups().iter().map(meter).collect();
        let chains = accounts.groups().iter().zip(&meters).map(|(group, own)| {
            Chain::new(Arc::clone(own), group.chain.iter().map(|&at| Arc::clone(&meters[at])).collect())
        });
        chains.collect()
    }
}

/// The meters that a group's requests count in: its own and those of the groups above it. One without limits refuses nothing,
/// but keeps the history from which a limit begins that comes later.
#[derive(Debug)]
pub struct Chain {
    own: Arc<Meter>,
    meters: Arc<[Arc<Meter>]>,
}

impl Chain {
    fn new(own: Arc<Meter>, mut meters: Vec<Arc<Meter>>) -> Self {
        // One order for all chains, so that two requests never wait for each other: parents may change while they run.
        meters.sort_by_key(|meter| meter.number);
        Self { own, meters: meters.into() }
    }

    /// Each of the group's own limits, how it stands, and what requests in flight hold of it.
    #[must_use]
    pub fn own_standings(&self, now: UnixSeconds) -> Vec<(Limit, Standing, u64)> {
        self.own.standings(now)
    }

    /// What is left of the tightest budget that refuses requests, in nano-dollars; the largest number if there is none.
    #[must_use]
    pub fn room(&self, now: UnixSeconds) -> u64 {
        self.meters.iter().fold(u64::MAX, |room, meter| meter.lock().room(now, room))
    }

    /// Counts a request that was admitted at `at`, as a ledger kept it.
    pub fn replay(&self, at: UnixSeconds, used: Amount, now: UnixSeconds) {
        self.meters.iter().for_each(|meter| meter.replay(at, used, now));
    }

    /// Counts all requests of a history, as a ledger kept it.
    pub fn restore(&self, history: &History, now: UnixSeconds) {
        self.meters.iter().for_each(|meter| meter.restore(history, now));
    }

    /// Checks, before the body is read, whether the limits have room for the smallest request.
    ///
    /// # Errors
    /// If there is not: the limit whose window ends last.
    pub fn check(&self, now: UnixSeconds) -> Result<(), Exceeded> {
        let least = Amount { tokens: 1, money: 1 };
        let mut exceeded = None;
        for meter in &*self.meters {
            let mut state = meter.lock();
            state.roll(now);
            exceeded = state.exceeded(meter.name(), least, true, exceeded);
            meter.pass_on(&mut state);
        }
        exceeded.map_or(Ok(()), Err)
    }

    /// How the tightest limit of a measure stands; `None`: there is none.
    #[must_use]
    pub fn tightest(&self, measure: Measure, now: UnixSeconds) -> Option<Standing> {
        self.meters.iter().fold(None, |tightest, meter| meter.lock().tightest(measure, now, tightest))
    }

    /// How the tightest limit of each measure stands, in the order of `Measure::ALL`.
    #[must_use]
    pub fn standings(&self, now: UnixSeconds) -> [Option<Standing>; Measure::ALL.len()] {
        let mut standings = [None; Measure::ALL.len()];
        for meter in &*self.meters {
            let state = meter.lock();
            for (standing, measure) in standings.iter_mut().zip(Measure::ALL) {
                *standing = state.tightest(measure, now, *standing);
            }
        }
        standings
    }

    /// Admits a request that is expected to take `amount`, in all groups at once.
    ///
    /// # Errors
    /// If one has no room, and then nothing changes: of the limits without room that whose window ends last.
    pub fn reserve(&self, amount: Amount, now: UnixSeconds) -> Result<Reservation, Exceeded> {
        let mut numbers = [0; MAX_DEPTH];
        match self.reserve_from(0, amount, now, None, &mut numbers) {
            Some(exceeded) => Err(exceeded),
            None => Ok(Reservation { meters: Arc::clone(&self.meters), numbers, at: now, held: Some(amount) }),
        }
    }

    /// Holds the locks of all meters from `level` on, so that the request is admitted in all or in none.
    fn reserve_from(
        &self,
        level: usize,
        amount: Amount,
        now: UnixSeconds,
        exceeded: Option<Exceeded>,
        numbers: &mut [u64; MAX_DEPTH],
    ) -> Option<Exceeded> {
        let Some(meter) = self.meters.get(level) else { return exceeded };
        let mut state = meter.lock();
        state.roll(now);
        let exceeded = state.exceeded(meter.name(), amount, false, exceeded);
        let exceeded = self.reserve_from(level + 1, amount, now, exceeded, numbers);
        if exceeded.is_none() {
            numbers[level] = state.admit(amount);
        }
        meter.pass_on(&mut state);
        exceeded
    }

    /// What a request lacks that is expected to take `amount`, of limits that are shared.
    #[must_use]
    pub fn lacking(&self, amount: Amount, now: UnixSeconds) -> Vec<Claim> {
        self.meters.iter().flat_map(|meter| meter.claims(now, Round::Lacking(amount))).collect()
    }
}

/// What an admitted request holds. Dropped unsettled, it counts as used in full: so no way to end a request spends unseen.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    meters: Arc<[Arc<Meter>]>,
    /// The request's number in each meter.
    numbers: [u64; MAX_DEPTH],
    at: UnixSeconds,
    /// What it holds, until it is settled.
    held: Option<Amount>,
}

impl Reservation {
    /// When the request was admitted.
    #[must_use]
    pub fn at(&self) -> UnixSeconds {
        self.at
    }

    /// What it holds; nothing if it is settled.
    #[must_use]
    pub fn held(&self) -> Amount {
        self.held.unwrap_or_default()
    }

    /// Counts what the request used, and releases the rest.
    pub fn settle(mut self, used: Amount) {
        self.end(used);
    }

    fn end(&mut self, used: Amount) {
        let Some(held) = self.held.take() else { return };
        for (meter, number) in self.meters.iter().zip(self.numbers) {
            let mut state = meter.lock();
            state.settle(number, self.at, held, used);
            meter.pass_on(&mut state);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end(self.held());
    }
}

#[cfg(test)]
mod tests;
