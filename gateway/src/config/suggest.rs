//! The known key that an unknown one probably means: by spelling, by another unit, and by the names that other programs use.

use wasmgate_base::nearest::close;

/// Names that other programs use, and ours.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("type", "kind"),
    ("provider", "kind"),
    ("dialect", "kind"),
    ("base_url", "url"),
    ("api_base", "url"),
    ("endpoint", "url"),
    ("address", "url"),
    ("address", "listen"),
    ("bind", "listen"),
    ("host", "listen"),
    ("port", "listen"),
    ("model", "name"),
    ("model_name", "name"),
    ("upstream", "backend"),
    ("provider", "backend"),
    ("pricing", "price"),
    ("cost", "price"),
    ("wasm", "file"),
    ("path", "file"),
    ("component", "file"),
    ("module", "file"),
    ("config", "settings"),
    ("options", "settings"),
    ("filter", "level"),
    ("weight", "percent"),
    ("share", "percent"),
    ("max_tokens", "max_output_tokens"),
    ("context_length", "context_window"),
    ("providers", "backends"),
    ("upstreams", "backends"),
    ("logging", "log"),
];

/// Ends of keys that say a unit.
const UNITS: &[&str] =
    &["_seconds", "_secs", "_sec", "_s", "_ms", "_millis", "_minutes", "_bytes", "_kb", "_mb", "_percent"];

/// The known key that is nearest in meaning; `None` if none is.
pub(super) fn key<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = unknown.to_ascii_lowercase().replace('-', "_");
    let same = |known: &&&str| **known == plain;
    let stem = |key: &str| UNITS.iter().find_map(|unit| key.strip_suffix(unit)).unwrap_or(key).to_owned();
    let words = |key: &str| key.split('_').map(str::to_owned).collect::<Vec<_>>();
    let by_name = || {
        let ours = OTHER_NAMES.iter().filter(|(other, _)| *other == plain).map(|(_, ours)| *ours);
        ours.filter_map(|ours| known.iter().find(|known| **known == ours)).next()
    };
    let by_unit = || known.iter().find(|known| stem(known) == stem(&plain));
    // One has all words of the other, as `api_key` and `api_key_env`.
    let by_words = || {
        let (ours, least) = (words(&plain), plain.len().min(4));
        let has_all = |known: &&&str| {
            let theirs = words(known);
            known.len() >= least
                && (ours.iter().all(|word| theirs.contains(word)) || theirs.iter().all(|word| ours.contains(word)))
        };
        known.iter().filter(has_all).min_by_key(|known| known.len().abs_diff(plain.len()))
    };
    known
        .iter()
        .find(same)
        .or_else(by_unit)
        .copied()
        .or_else(|| close(&plain, known.iter().copied()))
        .or_else(|| by_name().copied())
        .or_else(|| by_words().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_near_in_meaning_or_there_is_none() {
        const RELOAD: &[&str] = &["enabled", "settle_ms", "rescan_seconds", "drain_seconds", "keep_series_seconds"];
        const BACKEND: &[&str] = &["kind", "url", "location", "api_key_env", "api_key_file", "timeouts", "headers"];
        for (unknown, known, near) in [
            ("settle_seconds", RELOAD, Some("settle_ms")),
            ("rescan_ms", RELOAD, Some("rescan_seconds")),
            ("drain", RELOAD, Some("drain_seconds")),
            ("enable", RELOAD, Some("enabled")),
            ("window_seconds", RELOAD, None),
            ("pause_seconds", RELOAD, None),
            ("API-Key-Env", BACKEND, Some("api_key_env")),
            ("api_key", BACKEND, Some("api_key_env")),
            ("base_url", BACKEND, Some("url")),
            ("type", BACKEND, Some("kind")),
            ("timeout", BACKEND, Some("timeouts")),
            ("header", BACKEND, Some("headers")),
            ("colour", BACKEND, None),
            ("1", BACKEND, None),
        ] {
            assert_eq!(key(unknown, known), near, "{unknown}");
        }
    }
}
