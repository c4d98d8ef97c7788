//! The catalogue that ships with the gateway, for those who configure none. Its file says where each price is from.

use super::catalogue::Catalogue;
use super::read::read;

/// The catalogue that ships with the gateway.
#[must_use]
pub fn builtin() -> Catalogue {
    read("builtin.toml", include_str!("../builtin.toml")).expect("a test reads it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_is_of_one_kind_of_backend() {
        let catalogue = builtin();
        assert!(catalogue.entries().len() > 20);
        for entry in catalogue.entries() {
            let kind = entry.kind.as_deref();
            assert_eq!(kind == Some("anthropic"), entry.name.starts_with("claude-"), "{}", entry.name);
            assert!(matches!(kind, Some("anthropic" | "openai")), "{}", entry.name);
            assert!(!entry.first.rates.is_free(), "{}", entry.name);
        }
    }
}
