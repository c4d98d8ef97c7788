//! Writes a reason that a policy gave by its number in the manifest and the numbers in it.

use std::fmt::Write;

/// Writes the sentence: `{0}` stands for the first number, `{1}` for the second, and so on, each with at most three decimals;
/// `{model}` stands for the first choice.
///
/// # Errors
/// If the sentence has a place for which there is no number.
pub(crate) fn write(text: &str, values: &[f64], model: &str) -> Result<String, String> {
    let mut sentence = String::with_capacity(text.len() + 8 * values.len());
    let mut rest = text;
    while let Some((before, place, after)) = next_place(rest) {
        sentence.push_str(before);
        match place {
            Place::Model => sentence.push_str(model),
            Place::Number(place) => {
                let value = values.get(place).ok_or_else(|| {
                    format!("its reason {text:?} has a place {{{place}}}, but came with {} numbers", values.len())
                })?;
                number(&mut sentence, *value);
            }
        }
        rest = after;
    }
    sentence.push_str(rest);
    Ok(sentence)
}

/// What stands at a place.
enum Place {
    Number(usize),
    Model,
}

/// The text before the next place, what stands there, and the text after it.
fn next_place(text: &str) -> Option<(&str, Place, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        if let Some(after) = text[open..].strip_prefix("{model}") {
            return Some((&text[..open], Place::Model, after));
        }
        let digits = text[open + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let close = open + 1 + digits;
        // More digits than two are no place: no reason has so many numbers.
        if (1..=2).contains(&digits) && text[close..].starts_with('}') {
            return Some((&text[..open], Place::Number(text[open + 1..close].parse().ok()?), &text[close + 1..]));
        }
        from = open + 1;
    }
    None
}

fn number(sentence: &mut String, value: f64) {
    let rounded = (value * 1e3).round() / 1e3;
    // Writing to a String cannot fail. A number that is too large to have decimals stays as it is.
    let _ = write!(sentence, "{}", if rounded.is_finite() { rounded } else { value });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_at_their_places() {
        for (text, values, expected) in [
            ("no opinion", &[][..], "no opinion"),
            ("score {0}", &[0.899_999_999_9], "score 0.9"),
            ("{1} of {0} tokens, {1}", &[12.0, 0.5], "0.5 of 12 tokens, 0.5"),
            ("a {brace} and {} and {0", &[1.0], "a {brace} and {} and {0"),
            ("{{0}}", &[1.0], "{1}"),
            ("{model}: {0} ms, {models}", &[2.0], "phi2: 2 ms, {models}"),
            ("{0}", &[1e300], &1e300_f64.to_string()),
            ("{0} {1}", &[f64::NAN, f64::INFINITY], "NaN inf"),
        ] {
            assert_eq!(write(text, values, "phi2").as_deref(), Ok(expected), "{text}");
        }
        let error = write("{2}", &[1.0], "").expect_err("no such number");
        assert!(error.contains("{2}") && error.contains("1 numbers"), "{error}");
    }
}
