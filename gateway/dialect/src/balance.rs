//! Whether the JSON of a tool call that arrives in pieces is whole. Each byte is looked at once, however many pieces there
//! are; whether the JSON is valid does not matter.

/// The arguments of one call so far.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Objects and arrays that are open.
    depth: usize,
    in_string: bool,
    /// Whether the last byte was a backslash that escapes the next.
    escaped: bool,
    begun: bool,
    whole: bool,
}

impl Balance {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.whole {
                return;
            }
            self.begun |= !byte.is_ascii_whitespace();
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether anything came.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the object, or the array, is closed.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn an_object_is_whole_at_its_last_byte(
            key in "[a-zé \"\\\\{}\\[\\]]{0,6}", value in "[a-zé \"\\\\{}\\[\\]]{0,12}", size in 1_usize..6,
        ) {
            let text = json!({ key: [value, {}], "n": 1 }).to_string();
            let chars: Vec<char> = text.chars().collect();
            let mut balance = Balance::default();
            for piece in chars.chunks(size) {
                prop_assert!(!balance.is_whole(), "{}", text);
                balance.push(&piece.iter().collect::<String>());
                prop_assert!(balance.has_begun());
            }
            prop_assert!(balance.is_whole(), "{}", text);
        }
    }

    #[test]
    fn what_never_opens_is_never_whole() {
        for text in ["", " \n", "5", "null", "\"{}\"", "{\"a\":\"}", "[{}"] {
            let mut balance = Balance::default();
            balance.push(text);
            assert!(!balance.is_whole(), "{text}");
        }
    }
}
