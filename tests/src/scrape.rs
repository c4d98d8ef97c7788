//! Reads a page of metrics in Prometheus' text format.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its metric's name, with `_bucket`, `_sum` or `_count` where it is part of a histogram.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// A page of metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// All samples, in the page's order.
    pub samples: Vec<Sample>,
    /// Each metric's type, by name.
    pub types: BTreeMap<String, String>,
}

impl Metrics {
    /// Reads a page.
    ///
    /// # Panics
    /// Where a line is not what the format says.
    #[must_use]
    pub fn parse(page: &str) -> Self {
        let mut metrics = Self { samples: Vec::new(), types: BTreeMap::new() };
        for line in page.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a name and a type");
                assert!(metrics.types.insert(name.into(), kind.into()).is_none(), "{name} is there twice");
            } else if !line.starts_with('#') && !line.is_empty() {
                metrics.samples.push(sample(line).unwrap_or_else(|| panic!("not a sample: {line:?}")));
            }
        }
        metrics
    }

    /// The samples of that name that have all these labels.
    pub fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name && sample.has(labels))
    }

    /// The sum of the samples of that name that have all these labels; `None` where there is none.
    #[must_use]
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).map(|sample| sample.value).reduce(|a, b| a + b)
    }

    /// As `find`.
    ///
    /// # Panics
    /// Where there is no such sample: a metric that is not there is not the same as one at 0.
    #[must_use]
    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("there is no {name} with {labels:?}"))
    }

    /// How much a value rose since `earlier`.
    #[must_use]
    #[track_caller]
    pub fn rise(&self, earlier: &Self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(name, labels) - earlier.find(name, labels).unwrap_or(0.0)
    }

    /// Names and labels of all samples, without their values.
    #[must_use]
    pub fn series(&self) -> BTreeSet<String> {
        self.samples.iter().map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect()
    }

    /// All values of a label.
    #[must_use]
    pub fn label_values(&self, label: &str) -> BTreeSet<String> {
        self.samples.iter().filter_map(|sample| sample.labels.get(label).cloned()).collect()
    }
}

impl Sample {
    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|known| known == value))
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, mut rest) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"")?;
        let (value, length) = unquote(quoted)?;
        labels.insert(label.to_owned(), value);
        rest = quoted[length..].trim_start_matches(',');
    }
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// The text up to the closing quote, and how many bytes it took, the quote included.
fn unquote(quoted: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, at + 1)),
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                escaped => text.push(escaped),
            },
            plain => text.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"q\\\"\\n,}\"} 2\na{x=\"2\",y=\"\"} 3\nb 1e-3\nc_bucket{le=\"+Inf\"} 4\n";
        let metrics = Metrics::parse(page);
        assert_eq!(metrics.value("a", &[]), 5.0);
        assert_eq!(metrics.value("a", &[("y", "q\"\n,}")]), 2.0);
        assert_eq!(metrics.value("b", &[]), 0.001);
        assert_eq!(metrics.find("a", &[("x", "3")]), None);
        assert_eq!(metrics.series().len(), 4);
        assert_eq!(metrics.types["a"], "counter");
    }
}
