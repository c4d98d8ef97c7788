//! Suggests the known word that a mistyped word meant.

/// The known word nearest to `word` by edit distance; `None` if no known word is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Clients choose some of these words, and computing the distance costs the product of both lengths.
    if word.len() > 128 {
        return None;
    }
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// As `nearest`, but only a word that differs in at most a third of its letters: for words that programs choose, where a
/// wrong suggestion is worse than none.
#[must_use]
pub fn close<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = nearest(word, known)?;
    let distance = strsim::damerau_levenshtein(word, near);
    (distance <= (near.len().max(word.len()) / 3).max(1)).then_some(near)
}
