//! Keeps text that the tokenizer splits slowly away from it.
//!
//! The library splits ASCII, Chinese, Japanese and Korean into words with hand-written scanners, and all other text
//! with a regular expression. It builds that expression's automaton as characters occur, in a cache of fixed size.
//! Characters drawn from every script at once make it build without end: 1 KB of them took 1.3 ms, and 5 ms at worst,
//! against 50 µs for real texts. So a run of text never mixes East Asian characters with other non-ASCII characters.
//! Scripts that are rare in prompts and have many automaton states are not tokenized at all: they count by bytes, at
//! rates measured on translations of programs. The vocabulary has few of their words, so the rate hardly varies (± 10
//! %).

/// Counts the tokens of a text. `tokenize` counts the runs that the library may see.
pub(super) fn count(text: &str, mut tokenize: impl FnMut(&str) -> usize) -> usize {
    if text.is_ascii() {
        return tokenize(text);
    }
    let mut count_run = |run: &str, script| match script {
        _ if run.is_empty() => 0,
        Script::Rare { tokens_per_100_bytes } => (run.len() * tokens_per_100_bytes).div_ceil(100),
        Script::Shared | Script::Word | Script::Common | Script::EastAsian => tokenize(run),
    };
    let (mut tokens, mut run_start, mut run_script) = (0, 0, Script::Shared);
    for (at, character) in text.char_indices() {
        let script = script_of(character);
        match (run_script, script) {
            (_, Script::Shared) => {}
            (Script::Shared | Script::Common | Script::EastAsian, Script::Word) => {}
            (Script::Shared, Script::Common | Script::EastAsian) => run_script = script,
            (before, now) if before == now => {}
            (before, now) => {
                tokens += count_run(&text[run_start..at], before);
                run_start = at;
                run_script = if now == Script::Word { Script::Shared } else { now };
            }
        }
    }
    tokens + count_run(&text[run_start..], run_script)
}

/// Decides which runs a character may be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Spaces and punctuation: allowed in any run.
    Shared,
    /// ASCII letters and digits: allowed in any run but one of a rare script, whose rate does not fit them.
    Word,
    /// Latin with accents, Greek, Cyrillic, Hebrew, Arabic and their neighbours; symbols; emoji.
    Common,
    /// Chinese, Japanese, Korean.
    EastAsian,
    /// Any other script.
    Rare { tokens_per_100_bytes: usize },
}

fn script_of(character: char) -> Script {
    let rare = |tokens_per_100_bytes| Script::Rare { tokens_per_100_bytes };
    match u32::from(character) {
        0..0x80 if character.is_ascii_alphanumeric() => Script::Word,
        0..0x80 => Script::Shared,
        // Dashes, quotation marks and the ellipsis, which Chinese shares with Latin; the scanners handle them.
        0x2014 | 0x2018..=0x201D | 0x2025 | 0x2026 => Script::Shared,
        // To the end of two-byte characters, then Vietnamese, symbols, variation selectors, byte order mark, emoji.
        0x80..0x800 | 0x1E80..0x1F00 | 0x2000..0x2C00 | 0xFE00..0xFE10 | 0xFEFF | 0x1F000..0x1FB00 => Script::Common,
        0x3000..0xA000 | 0xAC00..0xD7A4 | 0xFF00..0xFFF0 => Script::EastAsian,
        0x0900..0x0980 => rare(39), // Devanagari
        0x0980..0x0A00 => rare(46), // Bengali
        0x0B80..0x0C00 => rare(52), // Tamil
        0x0D00..0x0D80 => rare(57), // Malayalam
        0x0E00..0x0E80 => rare(34), // Thai
        0x1200..0x1380 => rare(98), // Ethiopic
        0x1780..0x1800 => rare(55), // Khmer
        _ => rare(65),              // Telugu, Kannada, Gujarati, Gurmukhi, Georgian, Burmese, Sinhala: 64 to 68
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_script_and_ascii_stay_whole() {
        for text in
            ["", "plain", "déjà vu — “naïve”", "Привет, world 42!", "価格は100円…", "a 😀 b", "\u{feff}x", "tiếng Việt"]
        {
            assert_eq!(runs(text), [text], "{text:?}");
        }
    }

    #[test]
    fn runs_are_cut_where_scripts_change() {
        assert_eq!(runs("中文 ok 😀 ok 中"), ["中文 ok ", "😀 ok ", "中"]);
        assert_eq!(runs("see हिन्दी, ok"), ["see ", "ok"]);
        assert_eq!(count("हिन्दी, ok", |run| run.len()), "हिन्दी, ".len().strict_mul(39).div_ceil(100) + 2);
    }

    /// Proves the bound on the automaton: no sequence of characters makes a run mix scripts that must stay apart.
    #[test]
    fn the_tokenizer_never_sees_rare_scripts_or_a_mixture() {
        let mut state = 1_u64;
        for _ in 0..5_000 {
            let text: String = iter_characters(&mut state).take(40).collect();
            for run in runs(&text) {
                let has = |wanted: fn(Script) -> bool| run.chars().any(|character| wanted(script_of(character)));
                assert!(!has(|script| matches!(script, Script::Rare { .. })), "{run:?}");
                assert!(
                    !(has(|script| script == Script::Common) && has(|script| script == Script::EastAsian)),
                    "{run:?}"
                );
            }
        }
    }

    fn runs(text: &str) -> Vec<String> {
        let mut runs = Vec::new();
        count(text, |run| {
            runs.push(run.to_owned());
            0
        });
        if text.is_empty() { vec![String::new()] } else { runs }
    }

    /// Pseudo-random characters of all scripts, from a linear congruential generator.
    fn iter_characters(state: &mut u64) -> impl Iterator<Item = char> {
        std::iter::repeat_with(|| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let below = [0x80, 0x800, 0x3000, 0x11_0000][(*state >> 62) as usize];
            char::from_u32((*state >> 32) as u32 % below).unwrap_or('中')
        })
    }
}
