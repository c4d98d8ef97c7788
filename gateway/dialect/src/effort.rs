//! How much a model may think before it answers.

/// How much a model may think, from nothing to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as possible.
    Minimal,
    /// Little.
    Low,
    /// The default of most models.
    Medium,
    /// Much.
    High,
    /// More than `High`; only some models know it.
    XHigh,
    /// The most; only some models know it.
    Max,
}

impl Effort {
    /// From the word that the dialects have in common.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word for a backend of another dialect: the nearest of the three that all of them know; `None` for no thinking.
    #[must_use]
    pub fn common_word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Minimal | Self::Low => Some("low"),
            Self::Medium => Some("medium"),
            Self::High | Self::XHigh | Self::Max => Some("high"),
        }
    }
}

/// Whether a model may think, or how much, in another form than a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// No.
    Off,
    /// Yes.
    On,
    /// As the model decides.
    Adaptive,
    /// Up to so many tokens.
    Budget(u32),
}
