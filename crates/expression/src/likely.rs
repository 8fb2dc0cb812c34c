//! What somebody probably meant by a name that does not exist.

/// The known name closest to `written`, if it is close enough to be worth a question.
pub(crate) fn likely<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    // Distance costs length × length, and what is much longer than any known name resembles none.
    let longest = known.iter().map(|name| name.len()).max()?;
    if written.len() > longest * 2 {
        return None;
    }
    let written = written.to_ascii_lowercase();
    known
        .iter()
        .map(|name| (strsim::osa_distance(&written, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1.max(name.len() / 3))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::likely;

    const KNOWN: [&str; 4] = ["body", "headers", "method", "query"];

    #[test]
    fn slips_of_the_hand_are_understood() {
        assert_eq!(likely("bdoy", &KNOWN), Some("body"));
        assert_eq!(likely("header", &KNOWN), Some("headers"));
        assert_eq!(likely("Body", &KNOWN), Some("body"));
    }

    #[test]
    fn another_word_is_not_a_slip() {
        assert_eq!(likely("payload", &KNOWN), None);
        assert_eq!(likely(&"b".repeat(4000), &KNOWN), None);
        assert_eq!(likely("", &KNOWN), None);
    }
}
