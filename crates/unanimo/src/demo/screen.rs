//! What the demonstration shows: a sentence for each thing that happens, the live picture below, and the audit.
//!
//! The story goes to standard error, the audit to standard output, since that is the result.

use super::audit::Line;
use super::book::Counts;
use super::clock;
use super::count::number;
use super::gauge::Gauge;
use super::paint::{Colour, paint};
use super::picture::{self, Frame};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often counts are told where no line can be drawn over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(2);
/// The column at which sentences begin, and how long their lines are at most.
const SENTENCE_AT: usize = 10;
const SENTENCE_MOST: usize = 68;
const RULE: &str = "────────────────────────────────────────────────────────────────────────────────";

/// The terminal, or whatever stands in its place.
pub struct Screen {
    began: Instant,
    live: Option<ProgressBar>,
    plain_at: Cell<Instant>,
    story_coloured: bool,
    audit_coloured: bool,
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
            // The template is a constant of ours; without it the picture only looks stranger.
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
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
        let room = match &self.live {
            Some(_) => frame(false).columns.saturating_sub(SENTENCE_AT + 2).clamp(20, SENTENCE_MOST),
            None => SENTENCE_MOST,
        };
        let mut lines = wrapped(sentence, room).into_iter();
        self.story(&format!("{time}  {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.story(&format!("{:8}  {line}", "")));
    }

    /// The picture, drawn over the last one; where none can be drawn, the counts from time to time.
    pub fn live(&self, gauge: &mut Gauge, counts: &Counts) {
        match &self.live {
            Some(live) => {
                let frame = frame(self.story_coloured);
                let mut lines = vec![String::new()];
                lines.extend(picture::lines(gauge, counts, clock::now(), frame));
                live.set_message(lines.join("\n"));
                live.tick();
            }
            None if clock::now() >= self.plain_at.get() => {
                self.plain_at.set(clock::now() + PLAIN_INTERVAL);
                self.story(&format!("          {}", plain(counts)));
            }
            None => {}
        }
    }

    /// The last picture stays where it is, and the story goes on below it.
    pub fn keep_picture(&self, gauge: &mut Gauge, counts: &Counts) {
        if self.live.is_some() {
            let lines = picture::lines(gauge, counts, clock::now(), frame(self.story_coloured));
            self.story(&format!("\n{}", lines.join("\n")));
        }
        self.still();
    }

    /// No more live picture.
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

/// What the terminal of the story has room for.
fn frame(coloured: bool) -> Frame {
    let (lines, columns) = console_size();
    Frame { columns, lines, coloured }
}

/// Lines and columns of the terminal; the usual ones where it does not say.
fn console_size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok();
    let said = size.filter(|size| size.ws_row > 0 && size.ws_col > 0);
    said.map_or((24, 80), |size| (usize::from(size.ws_row), usize::from(size.ws_col)))
}

/// The counts in one line.
fn plain(counts: &Counts) -> String {
    let Counts { committed, refused, timed_out, interrupted, .. } = *counts;
    let mut words = vec![(counts.under_way(), "under way"), (committed, "committed"), (refused, "refused")];
    words.extend(
        [(timed_out, "timed out"), (interrupted, "interrupted")].iter().filter(|(count, _)| *count > 0),
    );
    let words: Vec<_> = words.into_iter().map(|(count, word)| format!("{} {word}", number(count))).collect();
    words.join(", ")
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
