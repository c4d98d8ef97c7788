//! Token usage of a response.

/// Token counts that a backend reported; never an estimate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the provider's prompt cache.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's prompt cache.
    pub cache_write: u64,
    /// Output tokens, thinking included.
    pub output: u64,
    /// Those of the output that were thinking, as far as the backend counts them apart.
    pub reasoning: u64,
}

impl Usage {
    /// These counts, which came after `earlier` ones of the same answer. A count of 0 after another one only shows that the
    /// server no longer counts.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        let input = if self.input_total() == 0 { earlier } else { self };
        let output = if self.output == 0 { earlier } else { self };
        Self { output: output.output, reasoning: output.reasoning, ..input }
    }

    /// Whether all counts are 0. No prompt is empty, so that they say nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// All input tokens.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
}
