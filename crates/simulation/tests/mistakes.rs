//! The simulation's teeth: every planted mistake must be found, and soon. The table in `docs/planted-mistakes.md` says how
//! soon, and by what.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and say what it saw"
)]

use std::fs;
use unanimo_simulation::{Mistake, Trace, run};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/planted-mistakes.md");

/// A line of the table.
struct Row {
    mistake: Mistake,
    /// Any of these words is in what is seen.
    seen: Vec<String>,
    /// Within so many seeds; `None` where a test of the journal finds it.
    seeds: Option<u64>,
}

fn rows() -> Vec<Row> {
    let table = fs::read_to_string(TABLE).unwrap();
    let lines = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [word, _, _, seen, seeds] = cells[..] else { panic!("five columns: {line}") };
        let mistake =
            Mistake::parse(word).unwrap_or_else(|| panic!("{word} is no mistake that can be planted"));
        Row { mistake, seen: seen.split(", ").map(str::to_owned).collect(), seeds: seeds.parse().ok() }
    };
    lines.map(row).collect()
}

#[test]
fn the_table_has_every_mistake_once() {
    let listed: Vec<Mistake> = rows().iter().map(|row| row.mistake).collect();
    assert_eq!(listed, Mistake::all().collect::<Vec<_>>());
    assert!(listed.len() >= 14);
}

#[test]
fn every_planted_mistake_is_found() {
    for Row { mistake, seen, seeds } in rows() {
        let Some(seeds) = seeds else { continue };
        let violation = |seed| Some((seed, run(seed, Some(mistake), Trace::new(None)).violation?));
        let (word, found) = (mistake.as_str(), (0..seeds).find_map(violation));
        let (seed, found) = found.unwrap_or_else(|| panic!("{word} was not found in {seeds} seeds"));
        println!("{word}: seed {seed}: {found}");
        assert!(seen.iter().any(|words| found.contains(words)), "{word}: seed {seed}: {found}");
    }
}

/// Those that the simulation cannot meet have a test of the journal, which plants them itself.
#[test]
fn what_the_simulation_cannot_meet_has_a_test_that_does() {
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../journal/src/tests");
    let tests: String =
        fs::read_dir(tests).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for row in rows().iter().filter(|row| row.seeds.is_none()) {
        let test = row.seen[0].trim_matches('`');
        assert!(tests.contains(&format!("fn {test}(")), "{}: no test {test}", row.mistake.as_str());
        let Mistake::Code(mistake) = row.mistake else { panic!("only the journal has tests of its own") };
        assert!(tests.contains(&format!("Mistake::{mistake:?}")), "{mistake:?} is planted nowhere");
    }
}
