//! Text for people: aligned columns, wrapped sentences, relative times.

use std::fmt;

/// Width at which sentences wrap, in characters. Tables may be wider.
const WIDTH: usize = 100;

/// Rows below a head, with columns as wide as their content. Empty columns are omitted.
pub(super) struct Table {
    head: Vec<&'static str>,
    rows: Vec<(Vec<String>, Vec<String>)>,
}

impl Table {
    pub(super) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push((cells.into_iter().map(|cell| clean(&cell)).collect(), Vec::new()));
    }

    /// Adds a sentence below the last row.
    pub(super) fn note(&mut self, text: &str) {
        if let Some((_, notes)) = self.rows.last_mut() {
            notes.push(sentences(text, "  ", "    "));
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>, widths: &[usize], cell: impl Fn(usize) -> String) -> fmt::Result {
        let shown = widths.iter().enumerate().filter(|(_, width)| **width > 0);
        let cells: Vec<String> = shown.map(|(column, &width)| format!("{:width$}", cell(column))).collect();
        writeln!(f, "{}", cells.join("  ").trim_end())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let widest = |column: usize| self.rows.iter().map(|(row, _)| cell(row, column).chars().count()).max();
        let width = |(column, head): (usize, &&str)| match widest(column).unwrap_or_default() {
            0 => 0,
            widest => widest.max(head.len()),
        };
        let widths: Vec<usize> = self.head.iter().enumerate().map(width).collect();
        self.line(f, &widths, |column| self.head[column].to_owned())?;
        for (row, notes) in &self.rows {
            self.line(f, &widths, |column| cell(row, column))?;
            for note in notes {
                f.write_str(note)?;
            }
        }
        Ok(())
    }
}

/// Replaces control characters, which could move a terminal's cursor. Names and reasons come from untrusted components.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Wraps each line of a text.
pub(super) fn sentences(text: &str, first: &str, rest: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(at, line)| wrap(&clean(line), if at == 0 { first } else { rest }, rest)).collect()
}

/// Wraps text at the width; only a longer word exceeds it. `first` indents the first line, `rest` the others.
pub(super) fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut lines = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines = lines + &line + "\n";
            line = rest.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines + &line + "\n"
}

/// How long ago `at` was, in words.
pub(super) fn ago(now: u64, at: u64) -> String {
    if now <= at { "now".into() } else { format!("{} ago", lasting(now, at)) }
}

/// The time from `at` to `now`, in words.
pub(super) fn lasting(now: u64, at: u64) -> String {
    match now.saturating_sub(at) {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_content_and_empty_ones_left_out() {
        let mut table = Table::new(&["SLOT", "SHARE", "POLICY"]);
        table.row(["routing".into(), String::new(), "complexity@1.2.0".into()]);
        table.note("refused: \u{1b}[2Jbad");
        table.row(["cost".into(), String::new(), "é".into()]);
        let expected = "SLOT     POLICY\nrouting  complexity@1.2.0\n  refused: [2Jbad\ncost     é\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn sentences_are_wrapped_between_words() {
        let text = wrap(&"word ".repeat(50), "  ", "    ");
        assert!(text.lines().count() > 2 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")));
        assert_eq!(wrap(&"x".repeat(200), "", ""), "x".repeat(200) + "\n");
    }

    #[test]
    fn times_are_as_they_are_spoken_of() {
        let said = |seconds: u64| ago(1_000_000, 1_000_000 - seconds);
        assert_eq!([said(0), said(59), said(60), said(3599)], ["now", "59 s ago", "1 min ago", "59 min ago"]);
        assert_eq!([said(3600), said(172_799), said(172_800)], ["1 h ago", "47 h ago", "2 d ago"]);
        assert_eq!(ago(5, 9), "now");
    }
}
