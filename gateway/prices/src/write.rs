//! Writes a catalogue as JSON of our own format. What is read from it is the same catalogue.

use serde_json::{Map, Value, json};
use wasmgate_base::money::{Price, Rates};

use super::catalogue::{Catalogue, Entry};
use super::decimal::usd;

/// A catalogue as JSON. Prices are texts, because many programs read numbers as floating point.
#[must_use]
pub fn write(catalogue: &Catalogue) -> String {
    let models: Map<String, Value> = catalogue.entries.iter().map(|entry| (entry.name.clone(), model(entry))).collect();
    let mut root = Map::new();
    root.insert("format".into(), json!(1));
    root.insert("version".into(), json!(catalogue.version));
    root.insert("date".into(), json!(catalogue.date.to_string()));
    if let Some(source) = &catalogue.source {
        root.insert("source".into(), json!(source));
    }
    root.insert("models".into(), Value::Object(models));
    format!("{:#}\n", Value::Object(root))
}

fn model(entry: &Entry) -> Value {
    let mut object = price(&entry.first);
    if !entry.aliases.is_empty() {
        object.insert("aliases".into(), json!(entry.aliases));
    }
    for (name, text) in [("kind", &entry.kind), ("note", &entry.note)] {
        if let Some(text) = text {
            object.insert(name.into(), json!(text));
        }
    }
    let changes = entry.changes.iter().map(|(from, changed)| {
        let mut object = price(changed);
        object.insert("from".into(), json!(from.to_string()));
        Value::Object(object)
    });
    let changes: Vec<Value> = changes.collect();
    if !changes.is_empty() {
        object.insert("changes".into(), Value::Array(changes));
    }
    Value::Object(object)
}

fn price(price: &Price) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("usd_per_million_tokens".into(), rates(&price.rates));
    let above = price
        .bands
        .iter()
        .flatten()
        .map(|band| json!({"input_tokens": band.above, "usd_per_million_tokens": rates(&band.rates)}));
    let above: Vec<Value> = above.collect();
    if !above.is_empty() {
        object.insert("above".into(), Value::Array(above));
    }
    object
}

/// The rates, without those that follow from others.
fn rates(rates: &Rates) -> Value {
    let mut object = Map::new();
    let all = [
        ("input", rates.input, None),
        ("output", rates.output, None),
        ("cache_read", rates.cache_read, Some(rates.input)),
        ("cache_write", rates.cache_write, Some(rates.input)),
        ("reasoning", rates.reasoning, Some(rates.output)),
    ];
    for (name, rate, _) in all.into_iter().filter(|(_, rate, usual)| *usual != Some(*rate)) {
        object.insert(name.into(), json!(usd(rate.0)));
    }
    Value::Object(object)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::date::Date;
    use crate::read::{MOST_NANO, read};
    use proptest::prelude::*;
    use wasmgate_base::money::{Band, NanoDollars};

    pub(crate) fn any_rates() -> impl Strategy<Value = Rates> {
        let rate = || prop_oneof![0..=MOST_NANO, Just(0), 0..1000u64].prop_map(NanoDollars);
        (rate(), rate(), rate(), rate(), rate()).prop_map(|(input, output, cache_read, cache_write, reasoning)| Rates {
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
        })
    }

    pub(crate) fn any_price() -> impl Strategy<Value = Price> {
        let bands = prop::collection::btree_map(1..10_000u64, any_rates(), 0..=3);
        (any_rates(), bands).prop_map(|(rates, above)| {
            let mut bands = [None; 3];
            for (slot, (above, rates)) in bands.iter_mut().zip(above) {
                *slot = Some(Band { above, rates });
            }
            Price { rates, bands }
        })
    }

    pub(crate) fn any_entry(name: String) -> impl Strategy<Value = Entry> {
        let changes = prop::collection::btree_map(0..20_000u64, any_price(), 0..3);
        let alias = format!("{name}-latest");
        (any_price(), changes, any::<bool>()).prop_map(move |(first, changes, has_alias)| Entry {
            name: name.clone(),
            aliases: if has_alias { vec![alias.clone()] } else { Vec::new() },
            kind: has_alias.then(|| "openai".to_owned()),
            note: None,
            first,
            changes: changes.into_iter().map(|(day, price)| (Date::of(day * 86_400), price)).collect(),
        })
    }

    pub(crate) fn any_catalogue() -> impl Strategy<Value = Catalogue> {
        let entries: Vec<_> = ["a", "b/c", "d \"e\""].into_iter().map(|name| any_entry(name.to_owned())).collect();
        (entries, 0..20_000u64).prop_map(|(entries, day)| {
            Catalogue::new("v1".into(), Date::of(day * 86_400), Some("a test".into()), entries).expect("valid")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_is_read_as_the_same(catalogue in any_catalogue()) {
            prop_assert_eq!(read("a.json", &write(&catalogue)), Ok(catalogue));
        }
    }
}
