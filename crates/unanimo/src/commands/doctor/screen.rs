//! The findings as a person reads them.

use super::finding::{Finding, Judgement};
use crate::commands::units::counted;
use crate::demo::paint::{Colour, paint};
use crate::{log, table};
use std::io::{self, IsTerminal};

/// What is written to.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    coloured: bool,
    /// Columns; as long as it takes where `None`.
    width: Option<usize>,
}

/// A line is not cut into pieces shorter than this.
const LEAST: usize = 24;

impl Screen {
    /// What standard output is.
    pub fn of_terminal() -> Screen {
        let coloured = io::stdout().is_terminal() && !log::wants_no_colour();
        Screen { coloured, width: table::terminal_width() }
    }

    /// All findings under a head, and a summary.
    pub fn draw(self, head: &str, findings: &[Finding]) -> String {
        let names = findings.iter().map(|finding| finding.check.as_str().len()).max().unwrap_or(0);
        let indent = names + 5;
        let mut text = format!("{}\n\n", paint(self.coloured, Colour::Bold, head));
        for finding in findings {
            let (mark, colour) = match finding.judgement {
                Judgement::Ok => ("✓", Colour::Green),
                Judgement::Warn => ("!", Colour::Yellow),
                Judgement::Fail => ("✗", Colour::Red),
            };
            let mark = paint(self.coloured, colour, mark);
            let mut said = self.wrapped(&finding.said, indent).into_iter();
            text.push_str(&format!(
                " {mark} {:names$}  {}\n",
                finding.check.as_str(),
                said.next().unwrap_or_default()
            ));
            for line in said {
                text.push_str(&format!("{:indent$}{line}\n", ""));
            }
            for (at, line) in
                finding.advice.iter().flat_map(|advice| self.wrapped(advice, indent + 2)).enumerate()
            {
                let arrow = if at == 0 { "→" } else { " " };
                text.push_str(&format!("{:indent$}{} {line}\n", "", paint(self.coloured, colour, arrow)));
            }
        }
        text + "\n" + &summary(findings)
    }

    fn wrapped(self, text: &str, indent: usize) -> Vec<String> {
        match self.width {
            Some(width) => wrap(text, width.saturating_sub(indent).max(LEAST)),
            None => vec![text.to_owned()],
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |judgement| findings.iter().filter(|finding| finding.judgement == judgement).count();
    let mut parts = vec![format!("{} ok", count(Judgement::Ok))];
    for (judgement, word) in [(Judgement::Warn, "warning"), (Judgement::Fail, "failure")] {
        match count(judgement) {
            0 => {}
            number => parts.push(counted(number, word)),
        }
    }
    let page = if parts.len() > 1 { "; docs/doctor.md explains each" } else { "" };
    format!("{}{page}", parts.join(", "))
}

/// The text in lines of at most this many characters, cut between words where that is possible.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let is_full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width);
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Check;

    #[test]
    fn what_is_long_stays_in_its_column() {
        let findings = [
            Finding::ok(Check::Clock, "right"),
            Finding::fail(
                Check::Service,
                "bank-b: 127.0.0.1:7002 refuses connections",
                "start it, or correct it",
            ),
        ];
        let drawn = Screen { coloured: false, width: Some(40) }.draw("a.yaml", &findings);
        let expected = "a.yaml\n\n ✓ clock    right\n \
                        ✗ service  bank-b: 127.0.0.1:7002\n            refuses connections\n            \
                        → start it, or correct it\n\n1 ok, 1 failure; docs/doctor.md explains each";
        assert_eq!(drawn, expected);
        let coloured = Screen { coloured: true, width: None }.draw("a.yaml", &findings);
        assert!(coloured.contains(" \x1b[32m✓\x1b[0m clock    right\n"), "{coloured:?}");
    }

    #[test]
    fn where_all_is_well_little_is_said() {
        assert_eq!(summary(&[Finding::ok(Check::Clock, "")]), "1 ok");
    }
}
