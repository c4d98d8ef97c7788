//! A line by hand against the library's, and its escapes.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same line by hand and by the library, with another time.
fn both(format: Format, text: &str, number: u64, float: f64, nanoseconds: u64) -> [String; 2] {
    let mut by_hand = Vec::new();
    Line::write(&mut by_hand, format, Level::INFO, "request", "a request", |line| {
        line.text("text", text);
        line.text("nothing", None);
        line.joined("parts", [text, ": ", text]);
        line.joined("no_parts", []);
        line.number("number", number);
        line.flag("flag", true);
        line.float("float", float);
        line.seconds("took", Duration::from_nanos(nanoseconds));
    });
    let captured = Captured::default();
    let writer = captured.clone();
    let builder = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let emit = || {
        tracing::info!(
            target: "request",
            text,
            nothing = None::<&str>,
            parts = format!("{text}: {text}"),
            number,
            flag = true,
            float,
            took = Duration::from_nanos(nanoseconds).as_secs_f64(),
            "a request"
        );
    };
    match format {
        Format::Json => {
            let json = builder.json().flatten_event(true).with_current_span(false).with_span_list(false);
            tracing::subscriber::with_default(json.finish(), emit);
        }
        Format::Text { colors } => tracing::subscriber::with_default(builder.with_ansi(colors).finish(), emit),
    }
    let by_library = captured.0.lock().unwrap().clone();
    [by_hand, by_library].map(|line| String::from_utf8(line).unwrap())
}

/// A line without its time, which is 27 characters long.
fn without_time(line: &str) -> String {
    let start = line.find("20").expect("a time of this century");
    format!("{}{}", &line[..start], &line[start + 27..])
}

proptest! {
    #[test]
    fn a_line_of_json_says_what_the_library_would(
        text in any::<String>(), number in any::<u64>(), float in any::<f64>(), eighths in 0_u64..1_000_000_000
    ) {
        let [by_hand, by_library] = both(Format::Json, &text, number, float, eighths * 125_000_000);
        prop_assert_eq!(by_hand.matches('\n').count(), 1);
        let parse = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
        let (mut by_hand, mut by_library) = (parse(&by_hand), parse(&by_library));
        prop_assert_eq!(by_hand["timestamp"].as_str().unwrap().len(), by_library["timestamp"].as_str().unwrap().len());
        by_hand["timestamp"].take();
        by_library["timestamp"].take();
        // Order included.
        let names = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        prop_assert_eq!(names(&by_hand), names(&by_library));
        prop_assert_eq!(by_hand, by_library);
    }

    #[test]
    fn a_line_of_text_says_what_the_library_would(text in any::<String>(), number in any::<u64>(), colors in any::<bool>()) {
        let [by_hand, by_library] = both(Format::Text { colors }, &text, number, 0.25, 12_345_000_000);
        prop_assert_eq!(by_hand.matches('\n').count(), 1);
        prop_assert_eq!(without_time(&by_hand), without_time(&by_library));
    }
}

#[test]
fn each_escape_of_json_is_right() {
    let all: String = (0..=0x7f).map(char::from).chain("\u{80}\u{2028}é🦀".chars()).collect();
    let mut bytes = Vec::new();
    escape_json(&all, &mut bytes);
    assert!(bytes.iter().all(|byte| *byte >= b' '), "{bytes:?}");
    let quoted = format!("\"{}\"", String::from_utf8(bytes).unwrap());
    assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), all);
}

#[test]
fn fractions_are_exact_and_end_early() {
    for (billionths, text) in [(0, "0.0"), (3_015_000, "0.003015"), (1, "0.000000001"), (12_500_000_000, "12.5")] {
        let mut bytes = Vec::new();
        let mut line = Line { bytes: &mut bytes, format: Format::Json };
        line.billionths("n", billionths);
        assert_eq!(String::from_utf8(bytes).unwrap(), format!(",\"n\":{text}"));
    }
}
