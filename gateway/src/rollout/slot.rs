//! The slots for policies: a hook's active slot, its canary and its shadows. A slot's name is its key below `policies`
//! in the configuration; the log, the admin API and the commands use the same name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use wasmgate_policy_host::Hook;

/// Maximum of shadows per hook.
pub const MAX_SHADOWS: usize = 4;

/// A slot for a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slot {
    /// What the policy decides.
    pub hook: Hook,
    /// The effect of its decisions.
    pub role: Role,
}

/// The slots of a hook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Its policy decides.
    Active,
    /// Its policy decides for a share of the requests.
    Canary,
    /// Its policy is called in the background; its decisions are only compared.
    Shadow(String),
}

impl Slot {
    /// The active slot of a hook.
    #[must_use]
    pub fn active(hook: Hook) -> Self {
        Self { hook, role: Role::Active }
    }

    /// The slot of a hook's canary.
    #[must_use]
    pub fn canary(hook: Hook) -> Self {
        Self { hook, role: Role::Canary }
    }
}

impl Role {
    /// Its name in metrics, logs and tables.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Canary => "canary",
            Self::Shadow(_) => "shadow",
        }
    }
}

/// As in `routing`, `routing.canary`, `cost.shadows.cheaper`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hook.as_str())?;
        match &self.role {
            Role::Active => Ok(()),
            Role::Canary => f.write_str(".canary"),
            Role::Shadow(name) => write!(f, ".shadows.{name}"),
        }
    }
}

impl FromStr for Slot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a policy slot, expected routing, routing.canary, routing.shadows.NAME, or the same \
                 with cost"
            )
        };
        let (hook, rest) = text.split_once('.').map_or((text, None), |(hook, rest)| (hook, Some(rest)));
        let hook = match hook {
            "routing" => Hook::Routing,
            "cost" => Hook::Cost,
            _ => return Err(wrong()),
        };
        let role = match rest {
            None => Role::Active,
            Some("canary") => Role::Canary,
            Some(rest) => match rest.strip_prefix("shadows.") {
                Some(name) if is_shadow_name(name) => Role::Shadow(name.to_owned()),
                _ => return Err(wrong()),
            },
        };
        Ok(Self { hook, role })
    }
}

/// Whether a shadow may have this name: 1 to 32 letters, digits, `-` and `_`.
#[must_use]
pub fn is_shadow_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

impl TryFrom<String> for Slot {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> Self {
        slot.to_string()
    }
}
