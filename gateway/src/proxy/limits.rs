//! The limits of the groups whose keys clients send: a request is admitted by all of them or refused by one that is named, and
//! reserves what it is expected to take. `in_flight.rs` settles that with what it took, whatever way it ends.
//!
//! A request without a key has no group, and then nothing here is done.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::gateway::Gateway;
use super::in_flight::InFlight;
use crate::backend::Location;
use crate::config::Reserve;
use crate::error::{Failure, Kind};
use crate::routing::Decision;
use crate::state::Snapshot;
use wasmgate_accounts::{Amount, Chain, Exceeded, Measure, Reservation, WhenSpent, time};
use wasmgate_base::money::NanoDollars;
use wasmgate_base::usage::Usage;
use wasmgate_dialect::Dialect;
use wasmgate_ledger::Ledger;

/// Output tokens that a request is expected to have if no policy says: agents ask for far more than they get.
const OUTPUT_TOKENS: u32 = 1000;

/// The longest wait for which a client should try again by itself. Official SDKs ignore longer ones.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a request borrows of limits that gateways share: another request may take what it borrowed.
const BORROWS: usize = 3;

/// Refuses a request before its body is read if a limit has no room for any.
///
/// # Errors
/// Then.
pub(super) fn check(in_flight: &mut InFlight) -> Result<(), Failure> {
    let snapshot = Arc::clone(in_flight.snapshot());
    let Some(chain) = snapshot.chain(in_flight.record.group) else { return Ok(()) };
    let now = in_flight.gateway().now();
    chain.check(now).map_err(|exceeded| refused(in_flight, exceeded))
}

/// Reserves an amount. Of limits that gateways share, this one may have borrowed too little: then the request waits until it has
/// borrowed more, or until a deadline, which `until` keeps for the whole request.
async fn take(
    gateway: &Gateway,
    chain: &Chain,
    amount: Amount,
    until: &mut Option<Instant>,
) -> Result<Reservation, Exceeded> {
    let mut reserved = chain.reserve(amount, gateway.now());
    let Some(shared) = &gateway.shared else { return reserved };
    for _ in 0..BORROWS {
        if !reserved.as_ref().is_err_and(|exceeded| exceeded.lacks) {
            break;
        }
        let until = *until.get_or_insert_with(|| shared.patience());
        if shared.borrow(chain, amount, gateway.now(), until).await.is_err() {
            break;
        }
        // A window may have ended meanwhile.
        reserved = chain.reserve(amount, gateway.now());
    }
    reserved
}

/// Admits a chat: reserves what the decided models are expected to take. Models whose cost does not fit into what is left are
/// no fallbacks.
///
/// # Errors
/// If a limit has no room.
pub(super) async fn reserve(
    in_flight: &mut InFlight,
    decision: &mut Decision,
    max_tokens: Option<u32>,
) -> Result<(), Failure> {
    let snapshot = Arc::clone(in_flight.snapshot());
    let Some(chain) = snapshot.chain(in_flight.record.group) else { return Ok(()) };
    let gateway = Arc::clone(in_flight.gateway());
    let room = chain.room(gateway.now());
    check_ledger(in_flight, room)?;
    let expected = Expected { snapshot: &snapshot, input: in_flight.record.estimated_input_tokens, max_tokens };
    let amount = |decision: &Decision, index: usize| expected.of(decision, index);
    let first = decision.ranking.first().map(|&first| amount(decision, first)).unwrap_or_default();
    let whole = if first.money <= room {
        keep(decision, |decision, index| amount(decision, index).money <= room);
        most(decision, amount)
    } else {
        // Room may come until the next line. What costs more than the first choice is no fallback then either.
        keep(decision, |decision, index| amount(decision, index).money <= first.money);
        first
    };
    let mut until = None;
    let exceeded = match take(&gateway, chain, whole, &mut until).await {
        Ok(reservation) => {
            in_flight.hold(reservation);
            return Ok(());
        }
        Err(exceeded) => exceeded,
    };
    let is_local = |index: &usize| snapshot.catalog.models()[*index].location() == Location::Local;
    if exceeded.limit.measure == Measure::Money && exceeded.limit.when_spent == WhenSpent::LocalOnly {
        decision.ranking.retain(is_local);
        if !decision.ranking.is_empty() {
            let local = most(decision, amount);
            let chosen = decision.ranking.first().copied();
            in_flight.record.chosen = chosen;
            in_flight.record.estimated_cost = chosen.and_then(|chosen| decision.estimated_cost(chosen));
            // What is free has room in a budget that is spent.
            return match take(&gateway, chain, local, &mut until).await {
                Ok(reservation) => {
                    in_flight.hold(reservation);
                    Ok(())
                }
                Err(exceeded) => Err(refused(in_flight, exceeded)),
            };
        }
    }
    Err(refused(in_flight, exceeded))
}

/// Admits a request for embeddings of a model, whose input alone costs.
///
/// # Errors
/// If a limit has no room.
pub(super) async fn reserve_input(in_flight: &mut InFlight, model: usize) -> Result<(), Failure> {
    let snapshot = Arc::clone(in_flight.snapshot());
    let Some(chain) = snapshot.chain(in_flight.record.group) else { return Ok(()) };
    let usage = Usage { input: u64::from(in_flight.record.estimated_input_tokens), ..Usage::default() };
    let cost = snapshot.price(Some(model)).map_or(0, |price| price.of(&usage).0);
    let amount = Amount { tokens: usage.input, money: reserved(cost, u64::MAX, snapshot.access.reserve) };
    let gateway = Arc::clone(in_flight.gateway());
    check_ledger(in_flight, chain.room(gateway.now()))?;
    match take(&gateway, chain, amount, &mut None).await {
        Ok(reservation) => {
            in_flight.hold(reservation);
            Ok(())
        }
        Err(exceeded) => Err(refused(in_flight, exceeded)),
    }
}

/// Leaves only the ranked models that fit.
fn keep(decision: &mut Decision, fits: impl Fn(&Decision, usize) -> bool) {
    let mut ranking = std::mem::take(&mut decision.ranking);
    ranking.retain(|&index| fits(decision, index));
    decision.ranking = ranking;
}

/// Refuses a request of a group with a budget while the ledger's disk is far behind: if the process ended now, what the request
/// spends would be forgotten.
fn check_ledger(in_flight: &InFlight, room: u64) -> Result<(), Failure> {
    let has_room = |ledger: &Ledger| room == u64::MAX || ledger.has_room();
    if in_flight.gateway().ledger.get().is_none_or(has_room) {
        return Ok(());
    }
    let message = "the disk of the ledger does not keep up, so that spending could be forgotten; retry shortly";
    Err(Failure::new(Kind::Overloaded, message))
}

/// The most that one of the ranked models takes: any may be called, because those that cannot be called are passed over.
fn most(decision: &Decision, amount: impl Fn(&Decision, usize) -> Amount) -> Amount {
    decision.ranking.iter().map(|&index| amount(decision, index)).fold(Amount::default(), |most, one| Amount {
        tokens: most.tokens.max(one.tokens),
        money: most.money.max(one.money),
    })
}

/// What a chat is expected to take of a model.
struct Expected<'a> {
    snapshot: &'a Snapshot,
    /// Tokens of the prompt, estimated.
    input: u32,
    /// The most output that the client accepts.
    max_tokens: Option<u32>,
}

impl Expected<'_> {
    fn of(&self, decision: &Decision, index: usize) -> Amount {
        let model = &self.snapshot.catalog.models()[index].model;
        let usage = |output: u32| Usage { input: self.input.into(), output: output.into(), ..Usage::default() };
        let longest = self.max_tokens.unwrap_or(model.max_output_tokens);
        let estimate = decision.permitted.iter().position(|permitted| *permitted == index);
        let estimate = estimate.and_then(|position| decision.estimates[position]);
        let output = estimate.map_or(OUTPUT_TOKENS.min(longest), |estimate| estimate.output_tokens);
        let price = model.price;
        let own = || price.map_or(0, |price| price.of(&usage(output)).0);
        let cost = estimate.and_then(|estimate| estimate.cost).unwrap_or_else(own);
        // A policy knows the rates of ordinary requests only. A long one may cost more.
        let is_long = price.is_some_and(|price| *price.rates(self.input.into()) != price.rates);
        let cost = if is_long { cost.max(own()) } else { cost };
        let worst = price.map_or(u64::MAX, |price| price.of(&usage(longest)).0.max(cost));
        let tokens = u64::from(self.input) + u64::from(output);
        Amount { tokens, money: reserved(cost, worst, self.snapshot.access.reserve) }
    }
}

/// What is reserved for an expected cost, in nano-dollars: at most the worst case, and at most what the operator set.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
fn reserved(cost: u64, worst: u64, reserve: Reserve) -> u64 {
    ((cost as f64 * reserve.factor) as u64).min(worst).min(reserve.most.0)
}

/// The failure of a request that a limit has no room for, noted on the record.
fn refused(in_flight: &mut InFlight, exceeded: Exceeded) -> Failure {
    let limit = &exceeded.limit;
    let now = in_flight.gateway().now();
    if exceeded.lacks {
        let message = format!("what is left of {limit} for the group {:?} cannot be asked now", &*exceeded.group);
        let mut failure = Failure::new(Kind::LimitsUnavailable, message);
        failure.retry_after = Some(Duration::from_secs(1));
        return failure;
    }
    let kind = match limit.measure {
        Measure::Money => Kind::BudgetSpent,
        Measure::Requests | Measure::Tokens | Measure::Concurrent => Kind::RateLimited,
    };
    let left = match limit.measure {
        Measure::Concurrent => String::new(),
        Measure::Money if limit.most == 0 => "; no model that may cost anything is called for it".to_owned(),
        Measure::Money => format!("; ${} is left, reservations taken off", NanoDollars(exceeded.left).usd()),
        Measure::Requests | Measure::Tokens => format!("; {} are left", exceeded.left),
    };
    let never = exceeded.needs > limit.most;
    let ends = match exceeded.ends.filter(|_| !never) {
        _ if limit.measure == Measure::Money && limit.most == 0 => String::new(),
        _ if never && limit.measure == Measure::Money => {
            format!("; this request is expected to need ${}", NanoDollars(exceeded.needs).usd())
        }
        _ if never => format!("; this request needs {}", exceeded.needs),
        Some(ends) => format!("; it begins anew at {}", time::format(ends)),
        None => String::new(),
    };
    let message = format!("the group {:?} may use {limit}{left}{ends}", &*exceeded.group);
    let wait = match (limit.measure, exceeded.ends) {
        // It has no room for this request at any time.
        _ if never => None,
        (Measure::Concurrent, _) => Some(Duration::from_secs(1)),
        (_, ends) => ends.map(|ends| Duration::from_secs(ends.saturating_sub(now))),
    };
    let mut failure = Failure::new(kind, message);
    // Nothing helps while a budget is spent, or for longer than a program waits.
    failure.is_final = wait.is_none_or(|wait| wait > PATIENCE);
    failure.retry_after = wait;
    in_flight.record.refused_by = Some(Box::new(exceeded));
    failure
}

/// Most headers that `headers` sets.
pub(super) const HEADERS: usize = 7;

/// Sets the headers in which SDKs and agents read how limits stand, in the words of the client's dialect, and what is left of
/// a budget.
pub(super) fn headers(headers: &mut HeaderMap, in_flight: &InFlight) {
    let Some(chain) = in_flight.snapshot().chain(in_flight.record.group) else { return };
    let now = in_flight.gateway().now();
    let is_anthropic = in_flight.record.dialect == Some(Dialect::Anthropic);
    let mut values = Values::default();
    for measure in [Measure::Requests, Measure::Tokens] {
        let Some(standing) = chain.tightest(measure, now) else { continue };
        let [most, left, reset] = names(is_anthropic, measure);
        values.add(most, |text| write!(text, "{}", standing.most));
        values.add(left, |text| write!(text, "{}", standing.left));
        if let Some(ends) = standing.ends {
            values.add(reset, |text| match is_anthropic {
                true => text.write_str(&time::format(ends)),
                false => short(ends.saturating_sub(now), text),
            });
        }
    }
    if let Some(left) = in_flight.snapshot().budget_left(in_flight.record.group, now) {
        values.add(HeaderName::from_static("x-wasmgate-budget-left-usd"), |text| write!(text, "{}", left.usd()));
    }
    values.insert(headers);
}

/// Values of headers, in one buffer: each request of a group with limits pays for them.
#[derive(Default)]
struct Values {
    text: String,
    /// Each header, and where its value ends.
    ends: [Option<(HeaderName, usize)>; HEADERS],
    count: usize,
}

impl Values {
    fn add(&mut self, name: HeaderName, write: impl FnOnce(&mut String) -> fmt::Result) {
        if self.text.capacity() == 0 {
            self.text.reserve(128);
        }
        if let (Ok(()), Some(free)) = (write(&mut self.text), self.ends.get_mut(self.count)) {
            *free = Some((name, self.text.len()));
            self.count += 1;
        }
    }

    fn insert(self, headers: &mut HeaderMap) {
        let (text, mut from) = (Bytes::from(self.text), 0);
        for (name, end) in self.ends.into_iter().flatten() {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(from..end)) {
                headers.insert(name, value);
            }
            from = end;
        }
    }
}

fn names(is_anthropic: bool, measure: Measure) -> [HeaderName; 3] {
    let names = match (is_anthropic, measure) {
        (true, Measure::Tokens) => [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
        (true, _) => [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        (false, Measure::Tokens) => {
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
        }
        (false, _) => ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    };
    names.map(HeaderName::from_static)
}

/// Writes seconds as OpenAI does: `6m0s`.
fn short(seconds: u64, text: &mut String) -> fmt::Result {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => write!(text, "{seconds}s"),
        (0, _) => write!(text, "{minutes}m{}s", seconds % 60),
        _ => write!(text, "{hours}h{minutes}m{}s", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_bounded_by_the_worst_case_and_by_the_operator() {
        let reserve = Reserve { factor: 1.5, most: NanoDollars(1000) };
        assert_eq!(reserved(100, u64::MAX, reserve), 150);
        assert_eq!(reserved(100, 120, reserve), 120);
        assert_eq!(reserved(10_000, u64::MAX, reserve), 1000);
        assert_eq!(reserved(0, 0, reserve), 0);
        assert_eq!(reserved(u64::MAX, u64::MAX, reserve), 1000);
    }

    #[test]
    fn times_are_short() {
        let written = |seconds| {
            let mut text = String::new();
            short(seconds, &mut text).map(|()| text).expect("a string takes anything")
        };
        assert_eq!([0, 59, 60, 3599, 3600, 90_061].map(written), ["0s", "59s", "1m0s", "59m59s", "1h0m0s", "25h1m1s"]);
    }
}
