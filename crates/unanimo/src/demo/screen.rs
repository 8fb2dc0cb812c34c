//! What the demonstration shows: a sentence for each thing that happens, one live line below, and the audit.
//!
//! The story goes to standard error, the audit to standard output, since that is the result.

use super::audit::Line;
use super::book::Counts;
use super::clock;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often counts are told where no line can be drawn over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
const RULE: &str = "────────────────────────────────────────────────────────────────────────────────";

/// The terminal, or whatever stands in its place.
pub struct Screen {
    began: Instant,
    live: Option<ProgressBar>,
    plain_at: Cell<Instant>,
    story_coloured: bool,
    audit_coloured: bool,
}

#[derive(Clone, Copy)]
enum Colour {
    Bold,
    Dim,
    Green,
    Red,
}

impl Screen {
    /// Draws where somebody watches, and writes plain lines elsewhere.
    pub fn new() -> Screen {
        let began = clock::now();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        let wants_none = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let story = io::stderr().is_terminal() && !is_dumb;
        let live = story.then(|| {
            let live = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is a constant of ours; without it the line only looks plainer.
            if let Ok(style) = ProgressStyle::with_template("      {spinner} {wide_msg}") {
                live.set_style(style);
            }
            live
        });
        Screen {
            began,
            live,
            plain_at: Cell::new(began + PLAIN_INTERVAL),
            story_coloured: story && !wants_none,
            audit_coloured: io::stdout().is_terminal() && !is_dumb && !wants_none,
        }
    }

    /// When it all began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// A heading.
    pub fn title(&self, text: &str) {
        self.story(&paint(self.story_coloured, Colour::Bold, text));
    }

    /// A line as it is.
    pub fn text(&self, text: &str) {
        self.story(text);
    }

    /// Something that happens now.
    pub fn tell(&self, sentence: &str) {
        let seconds = (clock::now() - self.began).as_secs_f64();
        let time = paint(self.story_coloured, Colour::Dim, &format!("{seconds:6.1} s"));
        let mut lines = wrapped(sentence, 68).into_iter();
        self.story(&format!("{time}  {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.story(&format!("{:8}  {line}", "")));
    }

    /// The counts, drawn over the last ones.
    pub fn live(&self, counts: &Counts) {
        let Counts { committed, refused, timed_out, interrupted, .. } = *counts;
        // What fits on a line first: the rest is cut off in a narrow terminal.
        let mut words =
            vec![(counts.under_way(), "under way"), (committed, "committed"), (refused, "refused")];
        words.extend(
            [(timed_out, "timed out"), (interrupted, "interrupted")].iter().filter(|(count, _)| *count > 0),
        );
        let words: Vec<_> =
            words.into_iter().map(|(count, word)| format!("{} {word}", number(count))).collect();
        let line = words.join(", ");
        match &self.live {
            Some(live) => {
                live.set_message(line);
                live.tick();
            }
            None if clock::now() >= self.plain_at.get() => {
                self.plain_at.set(clock::now() + PLAIN_INTERVAL);
                self.story(&format!("          {line}"));
            }
            None => {}
        }
    }

    /// No more live line.
    pub fn still(&self) {
        if let Some(live) = &self.live {
            live.finish_and_clear();
        }
    }

    /// The audit as a table, and the numbers below it.
    pub fn audit(&self, lines: &[Line], numbers: &[(&str, String)]) {
        self.still();
        let width = lines.iter().map(|line| line.claim.chars().count()).max().unwrap_or_default();
        let room = RULE.chars().count().saturating_sub(width + 5);
        let rule = paint(self.audit_coloured, Colour::Dim, RULE);
        let mut table =
            vec![String::new(), paint(self.audit_coloured, Colour::Bold, "The audit"), rule.clone()];
        for line in lines {
            let mark = match line.is_right {
                true => paint(self.audit_coloured, Colour::Green, "✓"),
                false => paint(self.audit_coloured, Colour::Red, "✗"),
            };
            let mut proof = line.proof.iter().flat_map(|proof| wrapped(proof, room));
            table.push(format!(" {mark} {:width$}  {}", line.claim, proof.next().unwrap_or_default()));
            table.extend(proof.map(|more| format!("   {:width$}  {more}", "")));
        }
        table.push(rule.clone());
        for (name, text) in numbers {
            let mut parts = wrapped(text, room).into_iter();
            table.push(format!("   {name:width$}  {}", parts.next().unwrap_or_default()));
            table.extend(parts.map(|more| format!("   {:width$}  {more}", "")));
        }
        table.push(rule);
        self.result(&table.join("\n"));
    }

    /// The last word: whether everything was right.
    pub fn conclude(&self, is_right: bool, text: &str) {
        let colour = if is_right { Colour::Green } else { Colour::Red };
        self.result(&paint(self.audit_coloured, colour, text));
    }

    /// Why it cannot go on.
    pub fn fail(&self, why: &str) {
        self.still();
        self.story(&format!(
            "\n{} {why}",
            paint(self.story_coloured, Colour::Red, "The demonstration cannot go on:")
        ));
    }

    // A closed pipe is the reader's business: the exit code says how it ended.
    fn story(&self, line: &str) {
        let write = || drop(writeln!(io::stderr(), "{line}"));
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }

    fn result(&self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.still();
    }
}

/// A count as people read it.
pub fn number(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Breaks a text between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn paint(coloured: bool, colour: Colour, text: &str) -> String {
    let code = match colour {
        Colour::Bold => 1,
        Colour::Dim => 2,
        Colour::Green => 32,
        Colour::Red => 31,
    };
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 4), ["unbreakable"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
