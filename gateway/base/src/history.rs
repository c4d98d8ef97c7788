//! What was used over time, kept so that what any window of the calendar has used is known later, although nobody knew of that
//! window then: by minutes for the last hours, by quarters of an hour for the days before, in total for ever. Days, weeks and
//! months begin on a quarter of an hour in each time zone of today.
//!
//! A history of a group that is used at each moment has 105 KiB; one of a group that is used rarely has 32 bytes for each
//! minute or quarter in which it was used.

use serde::{Deserialize, Serialize};

use crate::time::UnixSeconds;

/// Minutes that are kept; the older half of them becomes quarters when there are more.
const MINUTES: usize = 128;
/// Quarters of an hour that are kept: those of a month of 31 days and of a day more.
const QUARTERS: usize = 32 * 96;
const MINUTE: u64 = 60;
const QUARTER: u64 = 900;

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 3]", into = "[u64; 3]")]
pub struct Used {
    /// Requests.
    pub requests: u64,
    /// Input and output tokens.
    pub tokens: u64,
    /// Nano-dollars.
    pub money: u64,
}

impl Used {
    /// Adds more of each.
    pub fn add(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.money = self.money.saturating_add(more.money);
    }
}

impl From<[u64; 3]> for Used {
    fn from([requests, tokens, money]: [u64; 3]) -> Self {
        Self { requests, tokens, money }
    }
}

impl From<Used> for [u64; 3] {
    fn from(used: Used) -> Self {
        [used.requests, used.tokens, used.money]
    }
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    total: Used,
    /// By their first second, ascending.
    minutes: Vec<(UnixSeconds, Used)>,
    /// The same.
    quarters: Vec<(UnixSeconds, Used)>,
    /// What was used before this second has no minute any more.
    minutes_since: UnixSeconds,
}

impl History {
    /// Adds what was used at a time. Times come in any order.
    pub fn add(&mut self, at: UnixSeconds, used: Used) {
        self.total.add(used);
        if at < self.minutes_since {
            self.add_quarter(at - at % QUARTER, used);
            return;
        }
        add_row(&mut self.minutes, at - at % MINUTE, used);
        if self.minutes.len() > MINUTES {
            let middle = self.minutes[MINUTES / 2].0;
            self.minutes_since = middle - middle % QUARTER;
            let old = self.minutes.partition_point(|(start, _)| *start < self.minutes_since);
            for (start, used) in self.minutes.drain(..old).collect::<Vec<_>>() {
                self.add_quarter(start - start % QUARTER, used);
            }
        }
    }

    /// Adds all that another history has.
    pub fn merge(&mut self, other: &Self) {
        self.total.add(other.total);
        other.minutes.iter().for_each(|&(start, used)| add_row(&mut self.minutes, start, used));
        other.quarters.iter().for_each(|&(start, used)| self.add_quarter(start, used));
    }

    /// What was used from `start` on and before `end`; everything if that is from 0 to the largest number. `start` is the
    /// beginning of a minute or an hour of the last hours, or of a day, a week or a month in a time zone.
    #[must_use]
    pub fn within(&self, start: UnixSeconds, end: UnixSeconds) -> Used {
        if start == 0 && end == UnixSeconds::MAX {
            return self.total;
        }
        let mut sum = Used::default();
        for rows in [&self.minutes, &self.quarters] {
            let first = rows.partition_point(|(at, _)| *at < start);
            rows[first..].iter().take_while(|(at, _)| *at < end).for_each(|(_, used)| sum.add(*used));
        }
        sum
    }

    fn add_quarter(&mut self, start: UnixSeconds, used: Used) {
        add_row(&mut self.quarters, start, used);
        // A day's worth at a time: each removal moves all that stay.
        if self.quarters.len() > QUARTERS + 96 {
            self.quarters.drain(..self.quarters.len() - QUARTERS);
        }
    }
}

/// Adds to the row that begins at `start`; most are at the end.
fn add_row(rows: &mut Vec<(UnixSeconds, Used)>, start: UnixSeconds, used: Used) {
    if let Some((last, sum)) = rows.last_mut()
        && *last == start
    {
        sum.add(used);
        return;
    }
    let at = rows.partition_point(|(known, _)| *known < start);
    match rows.get_mut(at) {
        Some((known, sum)) if *known == start => sum.add(used),
        _ => rows.insert(at, (start, used)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn one(money: u64) -> Used {
        Used { requests: 1, tokens: 10, money }
    }

    #[test]
    fn windows_are_summed_exactly_also_when_minutes_have_become_quarters() {
        let begin = 1_000 * DAY;
        let mut history = History::default();
        // Each 50 seconds of 40 days, in an order that is only nearly that of the clock.
        let mut times: Vec<u64> = (0..40 * DAY / 50).map(|step| begin + step * 50).collect();
        times.chunks_mut(7).for_each(<[u64]>::reverse);
        times.iter().for_each(|&at| history.add(at, one(at % 7)));
        let sum = |start: u64, end: u64| {
            let mut sum = Used::default();
            times.iter().filter(|at| (start..end).contains(at)).for_each(|&at| sum.add(one(at % 7)));
            sum
        };
        let now = begin + 40 * DAY;
        for (start, end) in [
            (now - 60, now),
            (now - 3600, now),
            // In a zone three quarters of an hour away from a full one.
            (now - DAY - 5 * 3600 - 2700, now - 5 * 3600 - 2700),
            (now - 31 * DAY + 900, now),
            (0, u64::MAX),
        ] {
            assert_eq!(history.within(start, end), sum(start, end), "{start} to {end}");
        }
        assert!(history.minutes.len() <= MINUTES && history.quarters.len() <= QUARTERS + 96);
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_moment_costs_nothing_of_the_past() {
        let mut history = History::default();
        let now = 1_000 * DAY;
        history.add(now, one(1));
        history.add(now + 400 * DAY, one(2));
        history.add(now + 60, one(4));
        assert_eq!(history.within(now, now + DAY).money, 5);
        assert_eq!(history.within(0, u64::MAX).money, 7);
    }

    #[test]
    fn a_merged_or_restored_history_is_the_sum_of_both() {
        let (mut one_of, mut other) = (History::default(), History::default());
        for step in 0..500_u64 {
            let of = if step % 3 == 0 { &mut one_of } else { &mut other };
            of.add(5_000_000 + step * 60, one(step));
        }
        let text = serde_json::to_string(&other).expect("numbers");
        one_of.merge(&serde_json::from_str(&text).expect("the same"));
        let start = 5_000_000 + 300 * 60 - (5_000_000 + 300 * 60) % QUARTER;
        let expected = (0..500_u64).filter(|step| 5_000_000 + step * 60 >= start).sum::<u64>();
        assert_eq!(one_of.within(start, u64::MAX).money, expected);
        assert_eq!(one_of.within(0, u64::MAX).requests, 500);
    }
}
