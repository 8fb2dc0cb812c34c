//! What somebody probably meant by a word that is not known.

/// The known word closest to `written`, if it is close enough to be worth a question.
pub fn likely<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: String = written.to_lowercase().replace('_', "-");
    let distance = |word: &str| strsim::osa_distance(&written, &word.to_lowercase().replace('_', "-"));
    known
        .into_iter()
        // What is much longer than the word resembles it in nothing, and costs length × length to compare.
        .filter(|word| written.len() <= word.len() * 2 + 2)
        .map(|word| (distance(word), word))
        .min()
        .filter(|(distance, word)| distance * 3 <= word.len())
        .map(|(_, word)| word)
}

/// The question itself: the likely word, else those that are known.
pub fn suggestion<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match likely(written, known.clone()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => {
            let known: Vec<_> = known.into_iter().map(|word| format!("`{word}`")).collect();
            if known.is_empty() {
                "none is defined".to_owned()
            } else {
                format!("known here: {}", known.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::likely;

    #[test]
    fn slips_of_the_hand_are_understood_and_other_words_are_not() {
        let known = ["endpoints", "credential", "call_timeout"];
        assert_eq!(likely("endpoint", known), Some("endpoints"));
        assert_eq!(likely("call-timeout", known), Some("call_timeout"));
        assert_eq!(likely("Credentials", known), Some("credential"));
        assert_eq!(likely("anonymous", known), None);
        assert_eq!(likely("c", ["a", "b"]), None);
        assert_eq!(likely(&"e".repeat(100_000), known), None);
    }
}
