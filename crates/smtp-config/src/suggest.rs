//! "Did you mean": the nearest of the words that would have been right.

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be offered in place of the other.
const SIMILARITY_MIN: f64 = 0.8;

/// The word of `known` that `written` most likely stands for.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&written, word), word))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_what_is_near_and_nothing_else() {
        let known = ["implicit", "starttls", "none"];
        assert_eq!(nearest("implict", known), Some("implicit"));
        assert_eq!(nearest("STARTTLS", known), Some("starttls"));
        assert_eq!(nearest("wireguard", known), None);
    }
}
