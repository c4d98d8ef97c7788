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

/// What a million tokens of each kind cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input that the provider's prompt cache did not serve.
    pub input: NanoDollars,
    /// Output without thinking.
    pub output: NanoDollars,
    /// Input read from the provider's prompt cache.
    pub cache_read: NanoDollars,
    /// Input written to the provider's prompt cache.
    pub cache_write: NanoDollars,
    /// Thinking, where the provider counts it apart; elsewhere it is among the output.
    pub reasoning: NanoDollars,
}

impl Rates {
    /// What `usage` costs: each token once, at its own rate. Half a nano-dollar rounds up.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> NanoDollars {
        let part = |tokens: u64, rate: NanoDollars| u128::from(tokens) * u128::from(rate.0);
        let reasoning = usage.reasoning.min(usage.output);
        // Five products of two 64-bit numbers exceed 128 bits only together.
        let millionths = [
            part(usage.input, self.input),
            part(usage.cache_read, self.cache_read),
            part(usage.cache_write, self.cache_write),
            part(usage.output - reasoning, self.output),
            part(reasoning, self.reasoning),
        ]
        .into_iter()
        .fold(500_000, u128::saturating_add);
        NanoDollars(u64::try_from(millionths / 1_000_000).unwrap_or(u64::MAX))
    }

    /// Whether nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }
}

/// The rates of requests with a long input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// They apply to requests with more input tokens than this, cached ones included, and then to all tokens of the request.
    pub above: u64,
    /// The rates.
    pub rates: Rates,
}

/// Most bands of a price.
pub const MAX_BANDS: usize = 3;

/// What a model charges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// The rates of requests that no band applies to.
    pub rates: Rates,
    /// The rates of long requests, by rising `above`.
    pub bands: [Option<Band>; MAX_BANDS],
}

impl Price {
    /// A price without bands.
    #[must_use]
    pub fn flat(rates: Rates) -> Self {
        Self { rates, ..Self::default() }
    }

    /// The rates of a request with this many input tokens.
    #[must_use]
    pub fn rates(&self, input: u64) -> &Rates {
        let band = self.bands.iter().flatten().take_while(|band| band.above < input).last();
        band.map_or(&self.rates, |band| &band.rates)
    }

    /// What `usage` costs.
    #[must_use]
    pub fn of(&self, usage: &Usage) -> NanoDollars {
        self.rates(usage.input_total()).of(usage)
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

    fn usd(usd: f64) -> NanoDollars {
        from_usd(usd).expect("in range")
    }

    #[test]
    fn each_token_is_billed_once_at_its_own_rate() {
        let rates = Rates {
            input: usd(3.0),
            output: usd(15.0),
            cache_read: usd(0.3),
            cache_write: usd(3.75),
            reasoning: usd(20.0),
        };
        let usage = Usage { input: 1000, cache_read: 2000, cache_write: 400, output: 500, reasoning: 100 };
        // 1000×3 + 2000×0.3 + 400×3.75 + 400×15 + 100×20 dollars per million.
        let expected = NanoDollars(3_000_000 + 600_000 + 1_500_000 + 6_000_000 + 2_000_000);
        assert_eq!(Price::flat(rates).of(&usage), expected);
        // A server that counts more thinking than output is not billed for more than the output.
        assert_eq!(rates.of(&Usage { output: 1, reasoning: 9, ..Usage::default() }), NanoDollars(20_000));
    }

    #[test]
    fn a_band_begins_above_its_number_of_tokens_and_applies_to_all_of_them() {
        let of = |input: f64| Rates { input: usd(input), output: usd(input), ..Rates::default() };
        let band = |above, input| Some(Band { above, rates: of(input) });
        let price = Price { rates: of(1.0), bands: [band(100, 2.0), band(1000, 4.0), None] };
        let input = |tokens: u64| price.rates(tokens).input;
        assert_eq!([0, 100, 101, 1000, 1001, u64::MAX].map(input), [1.0, 1.0, 2.0, 2.0, 4.0, 4.0].map(usd));
        // The cache's tokens count for the band.
        let usage = Usage { input: 60, cache_read: 41, output: 10, ..Usage::default() };
        assert_eq!(price.of(&usage), NanoDollars(70 * 2000));
    }

    #[test]
    fn nothing_overflows_and_nonsense_is_refused() {
        let most = NanoDollars(u64::MAX);
        let rates = Rates { input: most, output: most, cache_read: most, cache_write: most, reasoning: most };
        let all = u64::MAX;
        let usage = Usage { input: all, cache_read: all, cache_write: all, output: all, reasoning: all };
        assert_eq!(Price::flat(rates).of(&usage), NanoDollars(u64::MAX));
        for wrong in [f64::NAN, f64::INFINITY, -0.01, 1e7] {
            assert_eq!(from_usd(wrong), None);
        }
        assert_eq!(from_usd(0.000_000_001), Some(NanoDollars(1)));
    }
}
