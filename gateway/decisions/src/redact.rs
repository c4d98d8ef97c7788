//! Takes secrets and personal data of known shapes out of texts. It finds shapes, not meanings: names, addresses, and secrets
//! of a shape that is not in the list stay. Who must be sure keeps no text.

/// Stands in place of a secret.
const SECRET: &str = "[secret]";
/// Stands in place of an e-mail address.
const EMAIL: &str = "[email]";
/// Stands in place of a number.
const NUMBER: &str = "[number]";

/// The beginnings of secrets that providers give out. A word that begins so and is at least this long is one.
const PREFIXES: [(&str, usize); 20] = [
    ("sk-", 20),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("pk_live_", 16),
    ("wg-", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("ghu_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xapp-", 16),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 30),
    ("hf_", 20),
    ("eyJ", 30),
];

/// A word of letters and digits this long that has both is taken for a secret.
const RANDOM_LENGTH: usize = 32;
/// Numbers of this many digits are taken out: telephone, card and account numbers.
const DIGITS: usize = 7;

/// What private keys begin and end with.
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// The longest name between the dashes, in bytes: what is searched, so that a text of many beginnings costs no more.
const KEY_NAME: usize = 64;

/// The text without what has the shape of a secret, an e-mail address, or a number of seven digits or more. The work grows with
/// the length of the text, whatever is in it.
#[must_use]
pub fn redact(text: &str) -> String {
    let text = without_keys(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !is_of_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        // A name in front of a value, as in KEY=value, is no part of the secret.
        for (at, part) in word.split('=').enumerate() {
            out.push_str(if at > 0 { "=" } else { "" });
            push_part(part, &mut out);
        }
        let gap = after.find(is_of_word).unwrap_or(after.len());
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    numbers(&out)
}

/// Characters of secrets and addresses.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+' | '/' | '=' | '%')
}

/// The text without private keys in armour. One without an end reaches to the end of the text.
fn without_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(BEGIN) {
        let (before, key) = rest.split_at(begin);
        out.push_str(before);
        if !name(&key[BEGIN.len()..]).contains("PRIVATE KEY") {
            out.push_str(BEGIN);
            rest = &key[BEGIN.len()..];
            continue;
        }
        out.push_str(SECRET);
        rest = key.find(END).map_or("", |end| {
            let after = &key[end + END.len()..];
            let line = name(after);
            &after[line.find(DASHES).map_or(line.len(), |dashes| dashes + DASHES.len())..]
        });
    }
    out + rest
}

/// The first line of a text, of at most `KEY_NAME` bytes.
fn name(text: &str) -> &str {
    let line = &text[..text.floor_char_boundary(KEY_NAME)];
    line.lines().next().unwrap_or_default()
}

/// Appends a part of a word, or what stands in its place.
fn push_part(part: &str, out: &mut String) {
    let trimmed = part.trim_end_matches('.');
    if is_secret(trimmed) {
        out.push_str(SECRET);
    } else if is_email(trimmed) {
        out.push_str(EMAIL);
    } else {
        out.push_str(trimmed);
    }
    out.push_str(&part[trimmed.len()..]);
}

fn is_secret(word: &str) -> bool {
    let of_prefix = |(prefix, length): &(&str, usize)| word.starts_with(prefix) && word.len() >= *length;
    let is_random = |part: &str| {
        part.len() >= RANDOM_LENGTH
            && part.bytes().any(|byte| byte.is_ascii_digit())
            && part.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    PREFIXES.iter().any(of_prefix) || word.split(['/', '.', '@']).any(is_random)
}

fn is_email(word: &str) -> bool {
    let Some((name, host)) = word.split_once('@') else { return false };
    !name.is_empty() && host.split('.').count() >= 2 && host.split('.').all(|part| !part.is_empty())
}

/// Takes out numbers: digits, with single spaces, dots, hyphens and parentheses between them.
fn numbers(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut copied = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let (mut end, mut digits, mut next) = (at, 0, at);
        while next < bytes.len() {
            match bytes[next] {
                byte if byte.is_ascii_digit() => {
                    digits += 1;
                    end = next + 1;
                }
                b' ' | b'-' | b'.' | b'(' | b')' | b'/' if next - end < 2 => {}
                _ => break,
            }
            next += 1;
        }
        if digits >= DIGITS {
            out.push_str(&text[copied..at]);
            out.push_str(NUMBER);
            copied = end;
        }
        at = end;
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_known_shape_goes_and_the_rest_stays() {
        for (text, redacted) in [
            ("my key is sk-proj-abcdefghij0123456789, hush", "my key is [secret], hush"),
            ("OPENAI_API_KEY=sk-abcdefghijklmnopqrstuv", "OPENAI_API_KEY=[secret]"),
            ("write to jane.doe+x@example.co.uk.", "write to [email]."),
            ("call +49 (170) 123-4567 now", "call +[number] now"),
            ("card 4111 1111 1111 1111!", "card [number]!"),
            ("in 2024 we had 1500 cases, version 1.2.3", "in 2024 we had 1500 cases, version 1.2.3"),
            ("token 0123456789abcdef0123456789abcdef", "token [secret]"),
            ("Größe: 12 €, naïve @ 5", "Größe: 12 €, naïve @ 5"),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n[secret]\nb"),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "[secret]"),
            (
                "KEY=-----BEGIN EC PRIVATE KEY-----\\nMHc/ab\\nCg==\\n-----END EC PRIVATE KEY-----\", b",
                "KEY=[secret]\", b",
            ),
            ("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
            ("a==sk-abcdefghijklmnopqrstuv==", "a==[secret]=="),
        ] {
            assert_eq!(redact(text), redacted);
        }
    }

    /// Each of these once took a stack, or a time, that grew with the square of the text.
    #[test]
    fn texts_of_a_mebibyte_that_repeat_what_is_searched_for_are_redacted() {
        for part in ["a=", "=", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----END ", "a@", "1 ", "sk-", "/", "."]
        {
            let text = part.repeat((1 << 20) / part.len());
            assert!(redact(&text).len() <= text.len().max(SECRET.len()), "{part}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_redacted_and_what_is_redacted_stays(text in "\\PC{0,200}") {
            let once = redact(&text);
            proptest::prop_assert_eq!(redact(&once), once);
        }

        #[test]
        fn no_secret_of_a_known_shape_stays(before in "[a-z ,.]{0,20}", tail in "[A-Za-z0-9]{40}", kind in 0..PREFIXES.len()) {
            let secret = format!("{}{tail}", PREFIXES[kind].0);
            let redacted = redact(&format!("{before} {secret} and more"));
            proptest::prop_assert!(!redacted.contains(&tail), "{}", redacted);
        }
    }
}
