//! How a mistake is shown: like a compiler's, with the line and a mark under what is meant.

use super::mistake::{Mistake, Place, Severity};
use std::fmt::{self, Display, Formatter};

/// The most characters of a line that are shown.
const LINE_WIDTH: usize = 120;

impl Mistake {
    /// The mistake as text for people, over several lines.
    pub fn rendered(&self, coloured: bool) -> impl Display {
        Rendered { mistake: self, paint: if coloured { &COLOURED } else { &PLAIN } }
    }
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rendered(false))
    }
}

/// The codes that begin and end colours.
struct Paint {
    error: &'static str,
    warning: &'static str,
    bold: &'static str,
    frame: &'static str,
    off: &'static str,
}

const PLAIN: Paint = Paint { error: "", warning: "", bold: "", frame: "", off: "" };
const COLOURED: Paint = Paint {
    error: "\u{1b}[1;31m",
    warning: "\u{1b}[1;33m",
    bold: "\u{1b}[1m",
    frame: "\u{1b}[34m",
    off: "\u{1b}[0m",
};

struct Rendered<'a> {
    mistake: &'a Mistake,
    paint: &'static Paint,
}

impl Display for Rendered<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Paint { error, warning, bold, frame, off } = *self.paint;
        let (colour, word) = match self.mistake.severity {
            Severity::Error => (error, "error"),
            Severity::Warning => (warning, "warning"),
        };
        write!(f, "{colour}{word}{off}{bold}: {}{off}", harmless(&self.mistake.message))?;
        let mut gutter = 0;
        if let Some(place) = &self.mistake.place {
            gutter = place.line.to_string().len();
            let Place { file, line, column, .. } = &**place;
            let (shown, mark) = excerpt(place);
            write!(f, "\n{:gutter$}{frame}-->{off} {}:{line}:{column}", "", file.display())?;
            write!(f, "\n{:gutter$} {frame}|{off}", "")?;
            write!(f, "\n{frame}{line} |{off} {shown}")?;
            write!(f, "\n{:gutter$} {frame}|{off} {colour}{mark}{off}", "")?;
        }
        match &self.mistake.help {
            Some(help) => write!(f, "\n{:gutter$} {frame}={off} help: {}", "", harmless(help)),
            None => Ok(()),
        }
    }
}

/// The line, and the marks under what is meant. Of a long line, a piece around it.
fn excerpt(place: &Place) -> (String, String) {
    let before = place.column - 1;
    let from = if before < LINE_WIDTH * 3 / 4 { 0 } else { before - LINE_WIDTH / 2 };
    let line = harmless(&place.text);
    let mut shown: Vec<char> = line.trim_end().chars().skip(from).take(LINE_WIDTH).collect();
    if let Some(first) = shown.first_mut().filter(|_| from > 0) {
        *first = '…';
    }
    if let Some(last) = shown.last_mut().filter(|_| line.trim_end().chars().nth(from + LINE_WIDTH).is_some())
    {
        *last = '…';
    }
    let tabs = shown.iter().take(before - from).map(|c| if *c == '\t' { '\t' } else { ' ' });
    let room = (from + shown.len()).saturating_sub(before).max(1);
    let mark = tabs.chain(std::iter::repeat_n('^', place.width.min(room))).collect();
    (shown.into_iter().collect(), mark)
}

/// Without what a terminal would obey.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mistake::Notes;
    use super::super::source::{Source, Span};

    #[test]
    fn colours_are_for_terminals_alone() {
        let source = Source::of("a.yaml", "\tworkers: 0\n");
        let notes = Notes::new(&source);
        notes.wrong_but(Span { start: 10, end: 11 }, "too few", "one at least");
        let found = notes.into_found();
        let plain = "error: too few\n --> a.yaml:1:11\n  |\n1 | \tworkers: 0\n  | \t         ^\n  = help: one at least";
        assert_eq!(found[0].to_string(), plain);
        let coloured = found[0].rendered(true).to_string();
        assert!(coloured.starts_with("\u{1b}[1;31merror\u{1b}[0m"), "{coloured:?}");
        let codes = ["[1;31m", "[1m", "[34m", "[0m"].map(|code| format!("\u{1b}{code}"));
        assert_eq!(codes.iter().fold(coloured, |text, code| text.replace(code.as_str(), "")), plain);
    }
}
