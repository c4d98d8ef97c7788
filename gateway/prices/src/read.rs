//! Reads a catalogue of our own format, strictly: a key that is not understood may be a price that would not be billed.

use wasmgate_base::money::{Band, MAX_BANDS, NanoDollars, Price, Rates};
use wasmgate_base::nearest::close;

use super::catalogue::{Catalogue, Entry};
use super::date::Date;
use super::decimal::Decimal;
use super::node::Node;

/// The version of the format.
pub(crate) const FORMAT: &str = "1";
/// Most mistakes that are reported at once.
const MOST: usize = 20;
/// The largest price: a dollar a token.
pub(crate) const MOST_NANO: u64 = 1_000_000 * 1_000_000_000;

/// Reads a catalogue. `name` is the file's name: `.toml` is TOML, any other JSON.
///
/// # Errors
/// What is wrong, with the place of each mistake, one a line.
pub fn read(name: &str, text: &str) -> Result<Catalogue, String> {
    let root = Node::parse(name, text).map_err(|wrong| format!("{name}: {wrong}"))?;
    let mut reader = Reader { wrong: Vec::new() };
    let catalogue = reader.catalogue(&root);
    let Reader { mut wrong } = reader;
    let more = wrong.len().saturating_sub(MOST);
    wrong.truncate(MOST);
    if more > 0 {
        wrong.push(format!("and {more} more mistakes"));
    }
    match catalogue {
        Some(catalogue) if wrong.is_empty() => Ok(catalogue),
        _ => Err(wrong.iter().map(|line| format!("{name}: {line}")).collect::<Vec<_>>().join("\n")),
    }
}

struct Reader {
    wrong: Vec<String>,
}

/// Whether a text can be the version: it is a label of metrics and a field of the ledger.
pub(crate) fn is_version(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    !text.is_empty() && text.len() <= 64 && text.chars().all(allowed)
}

impl Reader {
    fn wrong(&mut self, at: &str, found: &str, expected: &str) {
        self.wrong.push(format!("{at}: {found}, expected {expected}"));
    }

    /// The table there, after a check of its names.
    fn table<'a>(&mut self, at: &str, node: &'a Node, known: &[&str]) -> Option<&'a [(String, Node)]> {
        let Some(table) = node.table() else {
            self.wrong(at, &node.in_words(), "a table");
            return None;
        };
        let place = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        for (index, (name, _)) in table.iter().enumerate() {
            if !known.is_empty() && !known.contains(&&**name) {
                let near = close(name, known.iter().copied());
                let hint = near.map_or(String::new(), |near| format!("; did you mean {near:?}?"));
                self.wrong.push(format!("{}: unknown key, expected one of {}{hint}", place(name), known.join(", ")));
            }
            if table[..index].iter().any(|(earlier, _)| earlier == name) {
                self.wrong(&place(name), "there twice", "each name once");
            }
        }
        Some(table)
    }

    fn text(&mut self, at: &str, node: Option<&Node>) -> Option<String> {
        let node = node?;
        let text = node.text().map(str::to_owned);
        if text.is_none() {
            self.wrong(at, &node.in_words(), "a text in quotes");
        }
        text
    }

    fn date(&mut self, at: &str, node: Option<&Node>) -> Option<Date> {
        let date = node.and_then(Node::text).and_then(Date::parse);
        if date.is_none() {
            let found = node.map_or("missing".to_owned(), Node::in_words);
            self.wrong(at, &found, "a date as in 2026-12-01");
        }
        date
    }

    fn list<'a>(&mut self, at: &str, node: Option<&'a Node>) -> &'a [Node] {
        let Some(node) = node else { return &[] };
        node.list().unwrap_or_else(|| {
            self.wrong(at, &node.in_words(), "a list");
            &[]
        })
    }

    fn catalogue(&mut self, root: &Node) -> Option<Catalogue> {
        self.table("", root, &["format", "version", "date", "source", "models"])?;
        match root.get("format") {
            Some(Node::Number(format)) if format == FORMAT => {}
            found => {
                let found = found.map_or("missing".to_owned(), Node::in_words);
                self.wrong("format", &found, "1, the version of this format; `wasmgate prices import` reads others");
                return None;
            }
        }
        let version = self.text("version", root.get("version"));
        if !version.as_deref().is_some_and(is_version) {
            let found = version.as_ref().map_or("missing".to_owned(), |version| format!("{version:?}"));
            self.wrong("version", &found, "1 to 64 letters, digits, `-`, `_`, `.`, `:` and `+`");
        }
        let date = self.date("date", root.get("date"));
        let source = self.text("source", root.get("source"));
        let Some(models) = root.get("models") else {
            self.wrong("models", "missing", "a table with at least one model");
            return None;
        };
        let models = self.table("models", models, &[])?;
        if models.is_empty() {
            self.wrong("models", "no model", "at least one");
        }
        let entries: Vec<Entry> = models.iter().filter_map(|(name, node)| self.entry(name, node)).collect();
        match Catalogue::new(version?, date?, source, entries) {
            Ok(catalogue) => Some(catalogue),
            Err(twice) => {
                for name in twice {
                    self.wrong("models", &format!("{name:?} names two models"), "each name and alias once");
                }
                None
            }
        }
    }

    fn entry(&mut self, name: &str, node: &Node) -> Option<Entry> {
        let at = format!("models.{name:?}");
        let known = ["aliases", "kind", "note", "usd_per_million_tokens", "above", "changes"];
        self.table(&at, node, &known)?;
        if name.is_empty() {
            self.wrong(&at, "an empty name", "the provider's name for the model");
        }
        let aliases = self.list(&format!("{at}.aliases"), node.get("aliases"));
        let aliases = aliases.iter().filter_map(|alias| self.text(&format!("{at}.aliases"), Some(alias))).collect();
        let kind = self.text(&format!("{at}.kind"), node.get("kind"));
        let note = self.text(&format!("{at}.note"), node.get("note"));
        let first = self.price(&at, node);
        let mut changes: Vec<(Date, Price)> = Vec::new();
        for (index, change) in self.list(&format!("{at}.changes"), node.get("changes")).iter().enumerate() {
            let at = format!("{at}.changes[{index}]");
            self.table(&at, change, &["from", "usd_per_million_tokens", "above"]);
            let from = self.date(&format!("{at}.from"), change.get("from"));
            let price = self.price(&at, change);
            let (Some(from), Some(price)) = (from, price) else { continue };
            if changes.last().is_some_and(|(before, _)| *before >= from) {
                self.wrong(&format!("{at}.from"), &from.to_string(), "a date after that of the change before");
            }
            changes.push((from, price));
        }
        Some(Entry { name: name.to_owned(), aliases, kind, note, first: first?, changes })
    }

    fn price(&mut self, at: &str, node: &Node) -> Option<Price> {
        let rates = self.rates(at, node);
        let above = self.list(&format!("{at}.above"), node.get("above"));
        if above.len() > MAX_BANDS {
            self.wrong(&format!("{at}.above"), &format!("{} bands", above.len()), &format!("at most {MAX_BANDS}"));
        }
        let mut bands = [None; MAX_BANDS];
        let mut last = 0;
        for (index, (band, slot)) in above.iter().zip(&mut bands).enumerate() {
            let at = format!("{at}.above[{index}]");
            self.table(&at, band, &["input_tokens", "usd_per_million_tokens"]);
            let tokens = match band.get("input_tokens") {
                Some(Node::Number(text)) => text.parse::<u64>().ok(),
                _ => None,
            };
            let rates = self.rates(&at, band);
            match tokens.filter(|&tokens| tokens > last) {
                Some(tokens) => {
                    last = tokens;
                    *slot = rates.map(|rates| Band { above: tokens, rates });
                }
                None => {
                    let found = band.get("input_tokens").map_or("missing".to_owned(), Node::in_words);
                    self.wrong(&format!("{at}.input_tokens"), &found, &format!("a whole number above {last}"));
                }
            }
        }
        Some(Price { rates: rates?, bands })
    }

    fn rates(&mut self, at: &str, node: &Node) -> Option<Rates> {
        let at = format!("{at}.usd_per_million_tokens");
        let Some(node) = node.get("usd_per_million_tokens") else {
            self.wrong(&at, "missing", "a table, as in { input = 3, output = 15 }");
            return None;
        };
        self.table(&at, node, &["input", "output", "cache_read", "cache_write", "reasoning"])?;
        let mut rate = |name: &str| {
            let node = node.get(name)?;
            let nano = nano(node, 9);
            if let Err(found) = &nano {
                self.wrong(
                    &format!("{at}.{name}"),
                    found,
                    "US dollars from 0 to 1000000, with at most 9 decimal places",
                );
            }
            nano.ok()
        };
        let [input, output, cache_read, cache_write, reasoning] =
            ["input", "output", "cache_read", "cache_write", "reasoning"].map(&mut rate);
        for (name, _) in [("input", input), ("output", output)].into_iter().filter(|(_, rate)| rate.is_none()) {
            if node.get(name).is_none() {
                self.wrong(&format!("{at}.{name}"), "missing", "US dollars");
            }
        }
        let (input, output) = (input?, output?);
        Some(Rates {
            input,
            output,
            cache_read: cache_read.unwrap_or(input),
            cache_write: cache_write.unwrap_or(input),
            reasoning: reasoning.unwrap_or(output),
        })
    }
}

/// The price in a node, × 10^`scale`, exactly.
fn nano(node: &Node, scale: i32) -> Result<NanoDollars, String> {
    let (Node::Number(text) | Node::Text(text)) = node else { return Err(node.in_words()) };
    let in_words = |why| format!("{} is {why}", node.in_words());
    let decimal = Decimal::parse(text).map_err(|error| in_words(error.to_string()))?;
    match decimal.scaled(scale).map_err(|error| in_words(error.to_string()))? {
        (_, false) => Err(in_words("finer than a nano-dollar".to_owned())),
        (nano, true) if nano > MOST_NANO => Err(in_words("too large".to_owned())),
        (nano, true) => Ok(NanoDollars(nano)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        format = 1
        version = "2026-11-29"
        date = 2026-11-29
        source = "the providers' pages"
        [models.sonnet]
        aliases = ["sonnet-latest"]
        kind = "anthropic"
        usd_per_million_tokens = { input = 3, output = "15", cache_read = 0.3, cache_write = 3.75, reasoning = 20 }
        above = [{ input_tokens = 200_000, usd_per_million_tokens = { input = 6, output = 22.5 } }]
        changes = [{ from = 2026-12-01, usd_per_million_tokens = { input = 2.5e0, output = 10 } }]
    "#;

    #[test]
    fn a_whole_catalogue_is_read() {
        let catalogue = read("a.toml", WHOLE).expect("valid");
        let (entry, _) = catalogue.find("sonnet-latest", "anthropic").expect("found");
        let price = entry.price(0);
        let rates = price.rates;
        let all = [rates.input, rates.output, rates.cache_read, rates.cache_write, rates.reasoning].map(|rate| rate.0);
        assert_eq!(all, [3_000_000_000, 15_000_000_000, 300_000_000, 3_750_000_000, 20_000_000_000]);
        // What a band does not state follows its own input and output.
        let long = price.rates(200_001);
        assert_eq!([long.cache_read.0, long.reasoning.0], [6_000_000_000, 22_500_000_000]);
        assert_eq!(entry.price(catalogue.date().begins() + 2 * 86_400).rates.input.0, 2_500_000_000);
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let with = |from: &str, to: &str| read("a.toml", &WHOLE.replacen(from, to, 1)).expect_err(to);
        for (from, to, place) in [
            ("format = 1", "format = 2", "format: 2, expected 1"),
            ("version = \"2026-11-29\"", "version = \"a b\"", "version: \"a b\", expected 1 to 64"),
            ("date = 2026-11-29", "date = \"tomorrow\"", "date: \"tomorrow\", expected a date"),
            ("kind", "knid", "models.\"sonnet\".knid: unknown key"),
            ("input = 3,", "", "usd_per_million_tokens.input: missing"),
            ("input = 3", "input = -3", "usd_per_million_tokens.input: -3 is below 0"),
            ("input = 3", "input = nan", "usd_per_million_tokens.input: nan is not a decimal number"),
            ("input = 3", "input = 0.0000000001", "finer than a nano-dollar"),
            ("input = 3", "input = 1e7", "1e7 is too large"),
            ("input = 3", "input = true", "usd_per_million_tokens.input: true, expected US dollars"),
            ("200_000", "0", "above[0].input_tokens: 0, expected a whole number above 0"),
            ("from = 2026-12-01", "from = \"x\"", "changes[0].from: \"x\", expected a date"),
            ("\"sonnet-latest\"", "\"sonnet\"", "models: \"sonnet\" names two models"),
        ] {
            let message = with(from, to);
            assert!(message.starts_with("a.toml: ") && message.contains(place), "{to}: {message}");
        }
    }
}
