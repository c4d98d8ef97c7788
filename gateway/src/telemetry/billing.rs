//! What each call of a request is billed: the usage that its backend reported as final, else the gateway's estimate. Every
//! call is billed once, by the same rule: the call that answers, a stream that breaks off, a call that the client left, a
//! failed attempt, the loser of a hedge.
//!
//! From the moment that a request is written its provider may charge for the prompt. A call that ended with neither usage
//! nor output is billed its estimated input, and counted as unaccounted. A call that never reached its backend, or got an
//! error status in place of an answer, costs nothing.

use wasmgate_accounts::Amount;
use wasmgate_base::money::{NanoDollars, Price};
use wasmgate_base::usage::Usage;
use wasmgate_dialect::Total;

use super::record::Record;
use crate::error::{Kind, Reason};
use crate::metrics::labels::{Ending, Unaccounted};

/// What one call is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bill {
    /// The model, by position in the catalog.
    pub model: usize,
    /// What to bill.
    pub usage: Usage,
    /// Whether the backend reported the input and the output. What it did not report is the gateway's estimate.
    pub reported: [bool; 2],
    /// Why nobody knows the output, if nobody does.
    pub unaccounted: Option<Unaccounted>,
}

impl Record {
    /// The usage to bill: the backend's final count, else the gateway's estimate of what passed. A count that is not final
    /// is a lower bound of the output.
    #[must_use]
    pub fn billable(&self) -> Usage {
        // Most backends send one token per piece; four bytes per token covers those that send more.
        let seen = self.output_pieces.max(self.output_bytes.div_ceil(4));
        match self.usage {
            Some(usage) if self.usage_is_final => usage,
            Some(usage) => Usage { output: usage.output.max(seen), ..usage },
            None => Usage { input: u64::from(self.estimated_input_tokens), output: seen, ..Usage::default() },
        }
    }

    /// Whether the backend reported the whole usage of the answer.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.usage.is_some() && self.usage_is_final
    }

    /// What the current call is billed, given how the request ends; `None`: nothing.
    #[must_use]
    pub fn bill_at(&self, ending: Ending) -> Option<Bill> {
        match ending {
            Ending::Finished => Some(Bill { unaccounted: None, ..self.bill(Unaccounted::Broken)? }),
            Ending::Abandoned(_) => self.bill_if_charged(Some(Unaccounted::Abandoned)),
            Ending::Shutdown => self.bill_if_charged(Some(Unaccounted::Shutdown)),
            Ending::Failed(Reason::Timeout) => self.bill_if_charged(Some(Unaccounted::Timeout)),
            Ending::Failed(_) | Ending::Rejected(_) => self.bill_if_charged(Some(Unaccounted::Broken)),
        }
    }

    /// What all its calls are billed, given how the request ends.
    pub fn bills(&self, ending: Ending) -> impl Iterator<Item = Bill> {
        self.failed_calls.iter().copied().chain(self.bill_at(ending))
    }

    /// The tokens and the cost of all its calls, given how the request ends.
    #[must_use]
    pub fn spent(&self, ending: Ending, price: impl Fn(usize) -> Option<Price>) -> Amount {
        self.bills(ending).fold(Amount::default(), |spent, bill| Amount {
            tokens: spent.tokens.saturating_add(bill.usage.input_total()).saturating_add(bill.usage.output),
            money: spent.money.saturating_add(price(bill.model).map_or(0, |price| price.of(&bill.usage).0)),
        })
    }

    /// Ends a call that failed.
    pub fn fail_attempt(&mut self, kind: &Kind) {
        self.end_attempt(Unaccounted::of(kind));
    }

    /// Ends a call that does not answer. What it used is not part of the response but is still billed. `why`: why it ended;
    /// `None`: it failed in a way that costs nothing, unless the backend had reported usage or sent output.
    pub fn end_attempt(&mut self, why: Option<Unaccounted>) {
        self.failed_calls.extend(self.bill_if_charged(why));
        self.clear_attempt();
    }

    fn bill_if_charged(&self, why: Option<Unaccounted>) -> Option<Bill> {
        let said_something = self.usage.is_some() || self.output_pieces > 0 || self.output_bytes > 0;
        match why {
            Some(why) if said_something || self.sent.is_sent() => self.bill(why),
            None if said_something => Some(Bill { unaccounted: None, ..self.bill(Unaccounted::Broken)? }),
            Some(_) | None => None,
        }
    }

    fn bill(&self, why: Unaccounted) -> Option<Bill> {
        let is_known = self.is_reported() || self.output_pieces > 0 || self.output_bytes > 0;
        Some(Bill {
            model: self.model?,
            usage: self.billable(),
            reported: [self.usage.is_some(), self.is_reported()],
            unaccounted: (!is_known).then_some(why),
        })
    }

    /// The cost at the model's price; `None` if the model is unpriced.
    #[must_use]
    pub fn cost(&self, price: Option<Price>) -> Option<NanoDollars> {
        Some(price?.of(&self.billable()))
    }

    /// Usage, cost and latency of the answer so far.
    #[must_use]
    pub fn total(&self, price: Option<Price>) -> Total {
        let usage = self.billable();
        Total {
            input_tokens: usage.input_total(),
            output_tokens: usage.output,
            cost: self.cost(price).map(NanoDollars::usd),
            latency_seconds: self.started.elapsed().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;
    use crate::metrics::labels::Abandonment;

    const PROMPT: u32 = 100;

    fn record() -> Record {
        Record { estimated_input_tokens: PROMPT, ..Record::new() }
    }

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input, output, ..Usage::default() }
    }

    /// Tokens of one model: reported input and output, estimated input and output, unaccounted calls.
    type Tokens = [u64; 5];

    fn add(to: &mut BTreeMap<usize, Tokens>, bill: &Bill) {
        let tokens = to.entry(bill.model).or_default();
        tokens[if bill.reported[0] { 0 } else { 2 }] += bill.usage.input_total();
        tokens[if bill.reported[1] { 1 } else { 3 }] += bill.usage.output;
        tokens[4] += u64::from(bill.unaccounted.is_some());
    }

    fn billed(record: &Record, ending: Ending) -> BTreeMap<usize, Tokens> {
        let mut sum = BTreeMap::new();
        record.failed_calls.iter().for_each(|bill| add(&mut sum, bill));
        record.bill_at(ending).iter().for_each(|bill| add(&mut sum, bill));
        sum
    }

    #[test]
    fn a_count_that_is_not_final_is_a_lower_bound() {
        let mut record = record();
        record.begin_attempt(0, Instant::now());
        record.note_usage(Some(usage(7, 1)), false);
        (record.output_pieces, record.output_bytes) = (500, 2000);
        let left = Ending::Abandoned(Abandonment::Disconnected);
        assert_eq!(billed(&record, left), [(0, [7, 0, 0, 500, 0])].into());
        record.note_usage(Some(usage(7, 450)), true);
        assert_eq!(billed(&record, Ending::Finished), [(0, [7, 450, 0, 0, 0])].into());
    }

    #[test]
    fn a_failed_attempt_before_a_hedge_is_billed_once() {
        let mut record = record();
        record.begin_attempt(0, Instant::now());
        record.note_usage(Some(usage(1000, 0)), true);
        record.fail_attempt(&Kind::BackendStatus(200));
        let mut second = record.fork();
        record.begin_attempt(1, Instant::now());
        second.begin_attempt(2, Instant::now());
        second.note_usage(Some(usage(3, 4)), true);
        record.swap_with(&mut second);
        record.absorb(&mut second, Unaccounted::HedgeLost);
        assert_eq!(billed(&record, Ending::Finished), [(0, [1000, 0, 0, 0, 0]), (2, [3, 4, 0, 0, 0])].into());
    }

    #[test]
    fn an_error_status_is_free_and_so_is_what_was_not_written() {
        for kind in [Kind::BackendStatus(500), Kind::BackendBusy, Kind::BackendRefused(401)] {
            let mut record = record();
            record.begin_attempt(0, Instant::now());
            record.sent.note();
            record.fail_attempt(&kind);
            assert_eq!(billed(&record, Ending::of(&kind)), BTreeMap::new(), "{kind:?}");
        }
        let mut record = record();
        record.begin_attempt(0, Instant::now());
        record.fail_attempt(&Kind::Connect);
        assert_eq!(billed(&record, Ending::of(&Kind::Connect)), BTreeMap::new());
    }

    /// Random numbers that a seed repeats (SplitMix64).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % bound
        }
    }

    /// What a scripted backend did of one call.
    struct Served {
        model: usize,
        sent: bool,
        usage: Option<(Usage, bool)>,
        pieces: u64,
    }

    impl Served {
        fn random(random: &mut Random, model: usize) -> Self {
            let sent = random.below(4) > 0;
            let says = if sent { random.below(4) } else { 0 };
            let usage = match says {
                0 | 1 => None,
                2 => Some((usage(10 + random.below(50), 1), false)),
                _ => Some((usage(10 + random.below(50), random.below(90)), true)),
            };
            Self { model, sent, usage, pieces: if sent { random.below(3) * random.below(30) } else { 0 } }
        }

        fn play(&self, record: &mut Record) {
            record.begin_attempt(self.model, Instant::now());
            if self.sent {
                record.sent.note();
            }
            record.output_pieces = self.pieces;
            record.output_bytes = self.pieces * 4;
            if let Some((usage, is_final)) = self.usage {
                record.note_usage(Some(usage), is_final);
            }
        }

        /// What it costs by the rules, on its own. `free`: it ended in an error status.
        fn owed(&self, free: bool, finished: bool) -> Tokens {
            match self.usage {
                Some((usage, true)) => [usage.input, usage.output, 0, 0, 0],
                Some((usage, false)) => {
                    let unknown = u64::from(self.pieces == 0 && !free && !finished);
                    [usage.input, 0, 0, usage.output.max(self.pieces), unknown]
                }
                None if self.pieces > 0 => [0, 0, PROMPT.into(), self.pieces, 0],
                None if finished => [0, 0, PROMPT.into(), 0, 0],
                None if self.sent && !free => [0, 0, PROMPT.into(), 0, 1],
                None => [0; 5],
            }
        }
    }

    /// Random retries, fallbacks, hedges, cuts and leavings: what is billed is what the backends say that they served, and
    /// a labelled estimate elsewhere, each call once.
    #[test]
    fn whatever_becomes_of_a_request_each_call_is_billed_once() {
        const FAILURES: [Kind; 7] = [
            Kind::Connect,
            Kind::Timeout,
            Kind::Cut,
            Kind::Protocol,
            Kind::BackendStatus(503),
            Kind::BackendStatus(200),
            Kind::BackendBusy,
        ];
        let left = Ending::Abandoned(Abandonment::Disconnected);
        for seed in 0..5000 {
            let mut random = Random(seed);
            let mut record = record();
            let mut owed: BTreeMap<usize, Tokens> = BTreeMap::new();
            let mut owe = |served: &Served, free: bool, finished: bool| {
                let tokens = owed.entry(served.model).or_default();
                tokens.iter_mut().zip(served.owed(free, finished)).for_each(|(sum, more)| *sum += more);
            };
            let fail = |random: &mut Random, record: &mut Record| {
                let kind = &FAILURES[usize::try_from(random.below(7)).unwrap_or(0)];
                record.fail_attempt(kind);
                !kind.may_cost()
            };
            for _ in 0..random.below(4) {
                let served = Served::random(&mut random, usize::try_from(seed % 3).unwrap_or(0));
                served.play(&mut record);
                owe(&served, fail(&mut random, &mut record), false);
            }
            let mut answering = Served::random(&mut random, 3);
            let mut ending = [Ending::Finished, left, Ending::Failed(Reason::Timeout), Ending::Shutdown]
                [usize::try_from(random.below(4)).unwrap_or(0)];
            if random.below(2) == 0 {
                let mut fork = record.fork();
                let second = Served::random(&mut random, 4);
                answering.play(&mut record);
                second.play(&mut fork);
                match random.below(4) {
                    0 => owe(&second, false, false),
                    1 => {
                        owe(&answering, fail(&mut random, &mut record), false);
                        record.swap_with(&mut fork);
                        answering = second;
                    }
                    2 => {
                        record.swap_with(&mut fork);
                        owe(&answering, false, false);
                        answering = second;
                    }
                    _ => {
                        owe(&second, false, false);
                        ending = left;
                    }
                }
                record.absorb(&mut fork, Unaccounted::HedgeLost);
                record.absorb(&mut fork, Unaccounted::Abandoned);
            } else {
                answering.play(&mut record);
            }
            owe(&answering, false, ending == Ending::Finished);
            owed.retain(|_, tokens| *tokens != [0; 5]);
            let mut billed = billed(&record, ending);
            billed.retain(|_, tokens| *tokens != [0; 5]);
            assert_eq!(billed, owed, "seed {seed}, {ending:?}");
        }
    }
}
