//! The shipped configuration files, with other addresses, and with spans of time that a test can wait for.

use std::fs;
use std::path::Path;

use super::repository;

/// The windows of queries, each with what stands for it in a test.
const WINDOWS: [(&str, &str); 6] =
    [("5m", "8s"), ("10m", "12s"), ("15m", "14s"), ("30m", "16s"), ("1h", "30s"), ("6h", "40s")];

/// How long an alert's condition must hold, by the same pattern: the order of any two is kept.
const HOLDING: [(&str, &str); 9] = [
    ("0m", "0s"),
    ("1m", "1s"),
    ("2m", "2s"),
    ("3m", "5s"),
    ("5m", "6s"),
    ("10m", "9s"),
    ("15m", "10s"),
    ("30m", "13s"),
    ("1h", "15s"),
];

/// How long an alert goes on after its condition ended: longer than what it explains.
const KEEPING: [(&str, &str); 4] = [("2m", "6s"), ("3m", "8s"), ("5m", "10s"), ("10m", "13s")];

/// Intervals and waits, by their key.
const INTERVALS: [(&str, &str); 7] = [
    ("scrape_interval", "1s"),
    ("evaluation_interval", "1s"),
    ("interval", "1s"),
    ("group_wait", "1s"),
    ("group_interval", "1s"),
    ("repeat_interval", "1h"),
    ("resolve_timeout", "5m"),
];

/// A shipped file.
#[derive(Debug, Clone)]
pub struct Shipped {
    name: String,
    text: String,
}

impl Shipped {
    /// The file below `monitoring/`.
    ///
    /// # Panics
    /// Where it is not there.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let path = repository("monitoring").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.into(), text }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts `to` in the place of `from`.
    ///
    /// # Panics
    /// Where the file does not have it.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "monitoring/{} has no {from:?}", self.name);
        self.text = self.text.replace(from, to);
        self
    }

    /// With spans of time that a test can wait for.
    ///
    /// # Panics
    /// Where it has one for which there is no other.
    #[must_use]
    pub fn faster(mut self) -> Self {
        self.text = self.text.lines().map(|line| faster(line) + "\n").collect();
        self
    }

    /// Writes it.
    ///
    /// # Panics
    /// Where that fails.
    pub fn write(&self, folder: &Path) {
        let name = Path::new(&self.name).file_name().expect("a name");
        fs::write(folder.join(name), &self.text).expect("a file in a temporary folder");
    }
}

fn faster(line: &str) -> String {
    let mut line = line.to_owned();
    for (window, short) in WINDOWS {
        line = line.replace(&format!("[{window}]"), &format!("[{short}]"));
    }
    let key = line.trim_start().trim_start_matches("- ");
    let Some((key, value)) = key.split_once(':') else {
        return line;
    };
    let short = match key.trim() {
        "for" => Some(shorter(&HOLDING, value)),
        "keep_firing_for" => Some(shorter(&KEEPING, value)),
        key => INTERVALS.iter().find(|(name, _)| *name == key).map(|(_, short)| *short),
    };
    match short {
        Some(short) => line[..line.len() - value.len()].to_owned() + " " + short,
        None => line,
    }
}

fn shorter(spans: &[(&str, &'static str)], value: &str) -> &'static str {
    let known = spans.iter().find(|(long, _)| *long == value.trim());
    known.unwrap_or_else(|| panic!("there is nothing shorter for {value:?}")).1
}

#[cfg(test)]
mod tests {
    use super::faster;

    #[test]
    fn spans_of_time_are_shorter_and_the_rest_is_as_it_was() {
        assert_eq!(faster("  expr: rate(a[5m]) / rate(b[1h]) > 5"), "  expr: rate(a[8s]) / rate(b[30s]) > 5");
        assert_eq!(faster("        for: 30m"), "        for: 13s");
        assert_eq!(faster("        keep_firing_for: 10m"), "        keep_firing_for: 13s");
        assert_eq!(faster("  - interval: 30s"), "  - interval: 1s");
        assert_eq!(faster("  - record: job:x:ratio_rate5m"), "  - record: job:x:ratio_rate5m");
    }
}
