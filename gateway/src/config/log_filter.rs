//! `log.level`: what the gateway logs. The library takes any word for the name of a module and then logs nothing else, so a
//! mistyped level must be found here.

use wasmgate_base::nearest::close;

/// The levels, from most lines to none.
const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// What is wrong with a filter.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongFilter {
    /// The wrong part.
    pub found: String,
    /// What may stand there.
    pub expected: String,
    /// The level that was probably meant.
    pub nearest: Option<&'static str>,
}

/// Checks a filter such as `info` or `info,policy=debug`. Returns whether it names a level for all that it does not name.
///
/// # Errors
/// If a part of it is no level, and no module with a level.
pub fn check_filter(text: &str) -> Result<bool, WrongFilter> {
    let mut for_all = false;
    // Parts with brackets name spans and fields; the library checks them.
    if !text.contains('[') {
        for part in text.split(',').map(str::trim) {
            let (module, level) = part.split_once('=').map_or((None, part), |(module, level)| (Some(module), level));
            let level = level.trim().to_ascii_lowercase();
            let known = LEVELS.contains(&level.as_str());
            if !known || module.is_some_and(|module| module.trim().is_empty() || module.contains('=')) {
                let expected = "\"trace\", \"debug\", \"info\", \"warn\", \"error\" or \"off\"; or with a module's own level, as in \
                                \"info,policy=debug\"";
                let nearest = match &*level {
                    "warning" | "warnings" => Some("warn"),
                    "verbose" | "all" => Some("debug"),
                    "critical" | "fatal" => Some("error"),
                    "none" | "silent" | "quiet" => Some("off"),
                    level => close(level, LEVELS.into_iter()),
                };
                return Err(WrongFilter { found: format!("{part:?}"), expected: expected.into(), nearest });
            }
            for_all |= module.is_none();
        }
    }
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(for_all || text.contains('[')),
        Err(error) => Err(WrongFilter {
            found: format!("{text:?}: {error}"),
            expected: "a filter such as \"info,policy=debug\"".into(),
            nearest: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for (text, for_all) in
            [("info", true), ("INFO", true), ("info,policy=debug", true), ("policy=debug", false), ("off", true)]
        {
            assert_eq!(check_filter(text), Ok(for_all), "{text}");
        }
        for (text, nearest) in [
            ("verbose", Some("debug")),
            ("warning", Some("warn")),
            ("inof", Some("info")),
            ("info,policy=verbose", Some("debug")),
            ("info,policy", None),
            ("", None),
            ("lots=of=noise", None),
            ("=info", Some("info")),
        ] {
            assert_eq!(check_filter(text).unwrap_err().nearest, nearest, "{text}");
        }
    }
}
