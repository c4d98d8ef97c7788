//! A catalogue, and how a model is found in it.

use std::collections::HashMap;

use wasmgate_base::money::Price;
use wasmgate_base::time::UnixSeconds;

use super::date::Date;

/// A catalogue of prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    pub(crate) version: String,
    pub(crate) date: Date,
    pub(crate) source: Option<String>,
    pub(crate) entries: Vec<Entry>,
    by_name: HashMap<String, (usize, Match)>,
}

/// The price of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The provider's name for the model.
    pub name: String,
    /// Further names of the same model.
    pub aliases: Vec<String>,
    /// The only kind of backend whose models it prices; `None`: any.
    pub kind: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
    /// The price before all changes.
    pub first: Price,
    /// Later prices, each from the beginning of a day of UTC on, in the order of time.
    pub changes: Vec<(Date, Price)>,
}

/// How a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is a model's name.
    Exact,
    /// It is another name of a model.
    Alias,
}

impl Catalogue {
    /// A catalogue of these entries.
    ///
    /// # Errors
    /// All names that two entries have.
    pub fn new(version: String, date: Date, source: Option<String>, entries: Vec<Entry>) -> Result<Self, Vec<String>> {
        let mut by_name = HashMap::new();
        let mut twice = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let aliases = entry.aliases.iter().map(|alias| (alias, Match::Alias));
            for (name, how) in std::iter::once((&entry.name, Match::Exact)).chain(aliases) {
                if by_name.insert(name.clone(), (index, how)).is_some() {
                    twice.push(name.clone());
                }
            }
        }
        if twice.is_empty() { Ok(Self { version, date, source, entries, by_name }) } else { Err(twice) }
    }

    /// The name of this edition.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The day as of which its prices hold.
    #[must_use]
    pub fn date(&self) -> Date {
        self.date
    }

    /// All entries, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a model by its provider's name, for a backend of a kind, and how it was found.
    #[must_use]
    pub fn find(&self, name: &str, kind: &str) -> Option<(&Entry, Match)> {
        let &(index, how) = self.by_name.get(name)?;
        let entry = &self.entries[index];
        entry.kind.as_ref().is_none_or(|only| only == kind).then_some((entry, how))
    }

    /// When a price next changes after `now`.
    #[must_use]
    pub fn next_change(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let changes = self.entries.iter().flat_map(|entry| &entry.changes);
        changes.map(|(date, _)| date.begins()).filter(|&at| at > now).min()
    }
}

impl Entry {
    /// The price at a time.
    #[must_use]
    pub fn price(&self, at: UnixSeconds) -> Price {
        let change = self.changes.iter().take_while(|(date, _)| date.begins() <= at).last();
        change.map_or(self.first, |(_, price)| *price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmgate_base::money::{NanoDollars, Rates};

    fn entry(name: &str, aliases: &[&str]) -> Entry {
        Entry {
            name: name.into(),
            aliases: aliases.iter().map(|&alias| alias.into()).collect(),
            kind: None,
            note: None,
            first: Price::default(),
            changes: Vec::new(),
        }
    }

    fn catalogue(entries: Vec<Entry>) -> Result<Catalogue, Vec<String>> {
        Catalogue::new("1".into(), Date::of(0), None, entries)
    }

    #[test]
    fn a_model_is_found_by_its_names_and_only_for_its_kind() {
        let sonnet = Entry { kind: Some("anthropic".into()), ..entry("sonnet", &["sonnet-latest"]) };
        let catalogue = catalogue(vec![entry("gpt", &[]), sonnet]).expect("valid");
        let how = |name, kind| catalogue.find(name, kind).map(|(entry, how)| (entry.name.as_str(), how));
        assert_eq!(how("gpt", "openai"), Some(("gpt", Match::Exact)));
        assert_eq!(how("sonnet-latest", "anthropic"), Some(("sonnet", Match::Alias)));
        assert_eq!(how("sonnet", "openai"), None);
        assert_eq!(how("GPT", "openai"), None);
    }

    #[test]
    fn no_name_means_two_models() {
        let twice = catalogue(vec![entry("a", &["b"]), entry("b", &["c"]), entry("d", &["d"])]);
        assert_eq!(twice, Err(vec!["b".to_owned(), "d".to_owned()]));
    }

    #[test]
    fn a_dated_price_begins_with_its_day() {
        let flat = |nano| Price::flat(Rates { input: NanoDollars(nano), ..Rates::default() });
        let day = |text| Date::parse(text).expect("a date");
        let (first, second) = (day("2026-12-01"), day("2027-01-01"));
        let changes = vec![(first, flat(2)), (second, flat(3))];
        let catalogue = catalogue(vec![Entry { first: flat(1), changes, ..entry("a", &[]) }]).expect("valid");
        let at = |at| catalogue.entries()[0].price(at).rates.input.0;
        let (one, two) = (first.begins(), second.begins());
        assert_eq!([0, one - 1, one, two - 1, two, u64::MAX].map(at), [1, 1, 2, 2, 3, 3]);
        assert_eq!(
            [0, one - 1, one, two].map(|now| catalogue.next_change(now)),
            [Some(one), Some(one), Some(two), None]
        );
    }
}
