//! Money: integer nano-dollars inside, decimal US dollars at the borders (configuration, responses, metrics).

use super::usage::Usage;

/// An amount, in nano-dollars (10^-9 US dollars).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoDollars(pub u64);

impl NanoDollars {
    /// The amount in US dollars, for responses and metrics.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 9 million dollars, and only shown")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// What a model charges, in nano-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// Input that the provider's prompt cache did not serve.
    pub input: NanoDollars,
    /// Output, thinking included.
    pub output: NanoDollars,
    /// Input read from the provider's prompt cache.
    pub cache_read: NanoDollars,
    /// Input written to the provider's prompt cache.
    pub cache_write: NanoDollars,
}

impl Price {
    /// What `usage` costs: each token once, at its own rate. Half a nano-dollar rounds up.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> NanoDollars {
        let part = |tokens: u64, price: NanoDollars| u128::from(tokens) * u128::from(price.0);
        let millionths = part(usage.input, self.input)
            + part(usage.output, self.output)
            + part(usage.cache_read, self.cache_read)
            + part(usage.cache_write, self.cache_write);
        NanoDollars(u64::try_from((millionths + 500_000) / 1_000_000).unwrap_or(u64::MAX))
    }
}

/// Converts US dollars from the configuration, 0 to 1,000,000; `None` if out of range or not a number.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
pub fn from_usd(usd: f64) -> Option<NanoDollars> {
    (0.0..=1e6).contains(&usd).then(|| NanoDollars((usd * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_billed_once_at_its_own_rate() {
        let usd = |usd| from_usd(usd).expect("in range");
        let price = Price { input: usd(3.0), output: usd(15.0), cache_read: usd(0.3), cache_write: usd(3.75) };
        let usage = Usage { input: 1000, cache_read: 2000, cache_write: 400, output: 500 };
        // 1000×3 + 2000×0.3 + 400×3.75 + 500×15 dollars per million.
        assert_eq!(price.of(&usage), NanoDollars(3_000_000 + 600_000 + 1_500_000 + 7_500_000));
    }

    #[test]
    fn nothing_overflows_and_nonsense_is_refused() {
        let most = NanoDollars(u64::MAX);
        let price = Price { input: most, output: most, cache_read: most, cache_write: most };
        let usage = Usage { input: u64::MAX / 2, cache_read: 0, cache_write: 0, output: 0 };
        assert_eq!(price.of(&usage), NanoDollars(u64::MAX));
        for wrong in [f64::NAN, f64::INFINITY, -0.01, 1e7] {
            assert_eq!(from_usd(wrong), None);
        }
        assert_eq!(from_usd(0.000_000_001), Some(NanoDollars(1)));
    }
}
