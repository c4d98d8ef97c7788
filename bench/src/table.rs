//! A table in Markdown.

use std::fmt::Write;

/// A table that is written row by row: its first column is text, the others are numbers.
#[derive(Debug)]
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |\n|---|{}", head.join(" | "), "---:|".repeat(N - 1));
        Self(text)
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let _ = writeln!(self.0, "| {} |", cells.join(" | "));
    }

    pub(crate) fn text(self) -> String {
        self.0
    }
}
