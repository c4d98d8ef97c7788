//! What limits a group: so many requests, tokens or dollars in a period, or so many requests at a time.

use std::fmt;

use jiff::tz::TimeZone;
use wasmgate_base::history::Used;
use wasmgate_base::money::NanoDollars;
use wasmgate_base::time::UnixSeconds;

use crate::window::Period;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Requests that were admitted.
    Requests,
    /// Tokens, input and output.
    Tokens,
    /// Money, in nano-dollars.
    Money,
    /// Requests in flight. It has no period.
    Concurrent,
}

impl Measure {
    /// All measures.
    pub const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::Money, Self::Concurrent];

    /// The word in settings and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "usd",
            Self::Concurrent => "concurrent",
        }
    }
}

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub measure: Measure,
    /// The most of it: requests, tokens or nano-dollars.
    pub most: u64,
    /// In which period. `Total` for requests in flight.
    pub period: Period,
    /// The zone of days, weeks and months.
    pub zone: TimeZone,
    /// For money: what follows when it is spent.
    pub when_spent: WhenSpent,
}

/// What follows when a budget is spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenSpent {
    /// Requests are refused.
    #[default]
    Reject,
    /// Only models on hardware of the operator's own answer.
    LocalOnly,
    /// The routing policy decides: the limit is counted and shown, and refuses nothing.
    Policy,
}

impl Limit {
    /// Whether another limit counts the same, though it may allow another number.
    #[must_use]
    pub fn counts_same(&self, other: &Self) -> bool {
        (self.measure, self.period, &self.zone) == (other.measure, other.period, &other.zone)
    }
}

/// As in `60 requests a minute`, `$5 a month`, `8 requests at a time`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.measure {
            Measure::Requests => write!(f, "{} requests", self.most)?,
            Measure::Tokens => write!(f, "{} tokens", self.most)?,
            Measure::Money => write!(f, "${}", NanoDollars(self.most).usd())?,
            Measure::Concurrent => return write!(f, "{} requests at a time", self.most),
        }
        match self.period {
            Period::Hour => f.write_str(" an hour"),
            Period::Total => f.write_str(" in total"),
            period => write!(f, " a {}", period.as_str()),
        }
    }
}

/// What a request takes, or is expected to take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Input and output tokens.
    pub tokens: u64,
    /// Nano-dollars.
    pub money: u64,
}

impl Amount {
    /// What one request that took this adds to a history.
    pub(crate) fn of_one_request(self) -> Used {
        Used { requests: 1, tokens: self.tokens, money: self.money }
    }

    pub(crate) fn plus(self, more: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(more.tokens), money: self.money.saturating_add(more.money) }
    }

    pub(crate) fn minus(self, less: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(less.tokens), money: self.money.saturating_sub(less.money) }
    }

    /// How much of a measure a request takes that takes this.
    pub(crate) fn of(self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests | Measure::Concurrent => 1,
            Measure::Tokens => self.tokens,
            Measure::Money => self.money,
        }
    }
}

/// A limit that has no room for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// The name of the group whose limit it is.
    pub group: Box<str>,
    /// The limit.
    pub limit: Limit,
    /// What the request needs of it; above `limit.most` it never has room.
    pub needs: u64,
    /// What is left of it.
    pub left: u64,
    /// When its window ends; `None`: it has none.
    pub ends: Option<UnixSeconds>,
    /// Whether it is shared with other gateways, and this one has to borrow before the request can be admitted.
    pub lacks: bool,
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The most that it allows.
    pub most: u64,
    /// What requests that ended used in this window.
    pub used: u64,
    /// What is left, reservations taken off.
    pub left: u64,
    /// When its window ends; `None`: never.
    pub ends: Option<UnixSeconds>,
}
