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
