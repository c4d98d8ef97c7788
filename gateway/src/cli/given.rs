//! What operators give on the command line for keys and groups.

use serde_json::Value;

/// A name as the configuration takes it.
pub(super) fn name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    match !text.is_empty() && text.len() <= 128 && text.chars().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err("expected 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`".to_owned()),
    }
}

/// A name and a value with `=` between them.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// A limit and its number; without a number, `null`.
pub(super) fn limit(text: &str) -> Result<(String, Value), String> {
    let expected = || "expected LIMIT=NUMBER, as in usd_per_month=500".to_owned();
    let (limit, number) = pair(text).map_err(|_| expected())?;
    let number = number.replace('_', "");
    let whole = || number.parse::<u64>().ok().map(Value::from);
    let broken = || number.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    let value = if number.is_empty() { Some(Value::Null) } else { whole().or_else(broken) };
    value.map(|value| (limit, value)).ok_or_else(expected)
}

/// Labels as JSON; those without a value are `null`.
pub(super) fn labels(labels: &[(String, String)]) -> Value {
    let value = |value: &String| if value.is_empty() { Value::Null } else { Value::from(value.as_str()) };
    Value::Object(labels.iter().map(|(label, text)| (label.clone(), value(text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_limits_are_whole_if_they_can_be() {
        assert_eq!(limit("requests_per_day=1_000"), Ok(("requests_per_day".into(), 1000.into())));
        assert_eq!(limit("usd_per_day=0.5"), Ok(("usd_per_day".into(), 0.5.into())));
        assert_eq!(limit("usd_per_day="), Ok(("usd_per_day".into(), Value::Null)));
        for wrong in ["usd_per_day", "usd_per_day=much", "=1", "usd_per_day=inf"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
