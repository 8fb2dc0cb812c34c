//! A runbook, as somebody on call reads it: commands under headings, and what each must print.
//!
//! In what the page shows, `…` stands for anything, the sample id for the transaction at hand, and blanks are alike.
//! Other lines may stand between. A command of which nothing is shown must print nothing. It must end with 0, unless the
//! page shows an `error:`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The id that stands for any on every page.
const SAMPLE: &str = "0a8sd8p0r0000g0000000rq7tm";

/// What every page answers, in this order.
const HEADINGS: [&str; 5] =
    ["What you see", "What is at risk", "What to do", "How to know that it is over", "What not to do"];

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks")
}

/// A command of the page.
#[derive(Clone, Debug)]
pub struct Step {
    pub command: String,
    shown: Vec<String>,
    /// The nearest heading above it.
    under: String,
    /// The nearest of the five headings.
    part: String,
    /// Where it stands in the page.
    line: usize,
}

pub struct Page {
    name: String,
    steps: Vec<Step>,
    followed: BTreeSet<usize>,
}

impl Page {
    pub fn open(name: &str) -> Page {
        let text = fs::read_to_string(folder().join(name).with_extension("md")).unwrap();
        let parts: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(parts, HEADINGS, "{name}");
        Page { name: name.to_owned(), steps: steps(&text), followed: BTreeSet::new() }
    }

    /// The commands under a heading, which count as followed from now on.
    pub fn under(&mut self, heading: &str) -> Vec<Step> {
        let steps: Vec<Step> = self.steps.iter().filter(|step| step.under == heading).cloned().collect();
        assert!(!steps.is_empty(), "{} has no command under {heading:?}", self.name);
        self.followed.extend(steps.iter().map(|step| step.line));
        steps
    }

    /// Every command was run.
    pub fn assert_followed(&self) {
        let left: Vec<_> = self.steps.iter().filter(|step| !self.followed.contains(&step.line)).collect();
        assert!(left.is_empty(), "{} has commands that its test does not run: {left:#?}", self.name);
    }

    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.command.as_str())
    }
}

fn steps(text: &str) -> Vec<Step> {
    let (mut steps, mut is_console) = (Vec::<Step>::new(), false);
    let (mut under, mut part, mut goes_on) = (String::new(), String::new(), false);
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if !is_console {
            let heading = ["## ", "### "].iter().find_map(|mark| line.strip_prefix(mark));
            under = heading.map_or(under, str::to_owned);
            part = line.strip_prefix("## ").map_or(part, str::to_owned);
        } else if let Some(command) = line.strip_prefix("$ ") {
            let (command, under, part) = (command.to_owned(), under.clone(), part.clone());
            goes_on = is_unfinished(&command);
            steps.push(Step { command, shown: Vec::new(), under, part, line: at + 1 });
        } else if let Some(step) = steps.last_mut() {
            if goes_on {
                step.command = format!("{}\n{line}", step.command);
                goes_on = is_unfinished(&step.command);
            } else {
                step.shown.push(line.to_owned());
            }
        }
    }
    steps
}

/// A shell would ask for another line.
fn is_unfinished(command: &str) -> bool {
    command.ends_with('\\') || command.matches('"').count() % 2 == 1
}

impl Step {
    /// Looks may be repeated until they show what they should; deeds may not.
    pub fn is_a_look(&self) -> bool {
        self.part == HEADINGS[0] || self.part == HEADINGS[3]
    }

    /// Whether it ended and printed as the page says.
    pub fn check(&self, code: Option<i32>, printed: &str, id: &str) -> Result<(), String> {
        let is = |what: &str| format!("line {}, {}: {what}\n{printed}", self.line, self.command);
        let fails = self.shown.iter().any(|line| line.starts_with("error:"));
        if (code != Some(0)) != fails {
            return Err(is(&format!("ended with {code:?}")));
        }
        if self.shown.is_empty() && !printed.trim().is_empty() {
            return Err(is("it should print nothing"));
        }
        let mut lines = printed.lines();
        for shown in &self.shown {
            let pattern = shown.replace(SAMPLE, id);
            if !lines.any(|line| is_like(line, &pattern)) {
                return Err(is(&format!("`{pattern}` is not there, or not in its place")));
            }
        }
        Ok(())
    }
}

/// Whether a line is what a page shows, with anything in the place of each `…`.
fn is_like(line: &str, pattern: &str) -> bool {
    let blanks = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, pattern) = (blanks(line), blanks(pattern));
    let pieces: Vec<&str> = pattern.split('…').collect();
    let Some((first, rest)) = pieces.split_first() else { return line.is_empty() };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    let Some((last, between)) = rest.split_last() else { return left.is_empty() };
    for piece in between {
        let Some((_, after)) = left.split_once(piece) else { return false };
        left = after;
    }
    left.ends_with(last)
}
