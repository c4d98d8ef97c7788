//! Capabilities besides text that models have and requests need.

use serde::Deserialize;

/// A set of capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Calling tools.
    pub tools: bool,
    /// Reading images.
    pub images: bool,
    /// Answering in a given JSON form.
    pub structured_output: bool,
}

/// One capability, as the configuration and `/api/v1/models` spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Calling tools.
    Tools,
    /// Reading images.
    Images,
    /// Answering in a given JSON form.
    StructuredOutput,
}

impl Capability {
    const ALL: [Self; 3] = [Self::Tools, Self::Images, Self::StructuredOutput];

    /// The word in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::StructuredOutput => "structured-output",
        }
    }
}

impl Capabilities {
    /// Whether this set contains all of `needs`.
    #[must_use]
    pub fn cover(self, needs: Self) -> bool {
        Capability::ALL.into_iter().all(|capability| self.has(capability) || !needs.has(capability))
    }

    /// The capabilities in this set.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |&capability| self.has(capability))
    }

    fn has(self, capability: Capability) -> bool {
        match capability {
            Capability::Tools => self.tools,
            Capability::Images => self.images,
            Capability::StructuredOutput => self.structured_output,
        }
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(all: I) -> Self {
        let mut set = Self::default();
        for capability in all {
            match capability {
                Capability::Tools => set.tools = true,
                Capability::Images => set.images = true,
                Capability::StructuredOutput => set.structured_output = true,
            }
        }
        set
    }
}
