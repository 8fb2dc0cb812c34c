//! The page about metrics says what a gateway that runs exports, and a gateway exports what the page says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::Choices;
use support::process::PATIENCE;

const PAGE: &str = include_str!("../../../docs/metrics.md");

/// What is said of a metric, there or here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    kind: String,
    unit: String,
    labels: BTreeSet<String>,
    help: String,
}

/// The rows of the page's tables: name, type, unit, labels, meaning.
fn documented() -> BTreeMap<String, Said> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `unanimo_"));
    let read = rows.map(|row| {
        let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
        let [name, kind, unit, labels, help] = cells[..] else { panic!("five cells, not {cells:?}") };
        let labels = labels.split(", ").filter_map(|label| label.strip_prefix('`')?.strip_suffix('`'));
        let said = Said {
            kind: kind.to_owned(),
            unit: unit.trim_matches('–').to_owned(),
            labels: labels.map(str::to_owned).collect(),
            help: help.to_owned(),
        };
        (format!("unanimo_{}", name.trim_end_matches('`')), said)
    });
    let count = PAGE.lines().filter(|line| line.starts_with("| `unanimo_")).count();
    let read: BTreeMap<_, _> = read.collect();
    assert_eq!(read.len(), count, "no metric has two rows");
    read
}

/// The families of a scrape; counters by the name of their samples.
fn exported(text: &str) -> BTreeMap<String, Said> {
    let mut families = BTreeMap::<String, Said>::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some((word, rest)) = line.strip_prefix("# ").and_then(|line| line.split_once(' ')) {
            let (name, value) = rest.split_once(' ').unwrap();
            last = name.to_owned();
            let said = families.entry(last.clone()).or_default();
            match word {
                "HELP" => value.clone_into(&mut said.help),
                "TYPE" => value.clone_into(&mut said.kind),
                "UNIT" => value.clone_into(&mut said.unit),
                other => panic!("{other} in {line}"),
            }
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&last), "{line} is not of {last}");
            let labels = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            let names = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0));
            let said = families.get_mut(&last).unwrap();
            said.labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    let counted = |(name, said): (String, Said)| match said.kind.as_str() {
        "counter" => (name + "_total", said),
        _ => (name, said),
    };
    families.into_iter().map(counted).collect()
}

/// A scrape after every kind of thing has happened once.
fn scrape() -> String {
    let counter = Counter::start(Choices::default());
    counter.door.open();
    for (left, right) in [("yes", "yes"), ("yes", "no")] {
        counter.post("/pay", &[], &body(left, right, "1.00")).unwrap();
    }
    counter.post("/pay", &[], "no JSON").unwrap();
    counter.get("/plain");
    within("all have ended", PATIENCE, || match counter.gateway.open().len() {
        0 => Ok(()),
        open => Err(format!("{open} are open")),
    });
    counter.gateway.ask("/metrics").unwrap().text()
}

#[test]
fn the_page_and_the_gateway_say_the_same() {
    let text = scrape();
    let (documented, exported) = (documented(), exported(&text));
    let names = |said: &BTreeMap<String, Said>| said.keys().cloned().collect::<BTreeSet<_>>();
    let (there, here) = (names(&exported), names(&documented));
    assert_eq!(there.difference(&here).collect::<Vec<_>>(), [""; 0], "exported, and not on the page");
    assert_eq!(here.difference(&there).collect::<Vec<_>>(), [""; 0], "on the page, and not exported");
    for (name, said) in &exported {
        assert_eq!(said, &documented[name], "{name}");
        let last = format!("{name}_bucket{{le=\"+Inf\"");
        assert!(said.kind != "histogram" || text.contains(&last), "{name} counts all in its last bucket");
    }
}

#[test]
fn the_page_names_every_word_for_an_end() {
    let source = include_str!("../../protocol/src/record.rs");
    let (_, function) = source.split_once("impl Cause {").unwrap();
    let (_, line) = PAGE.split_once("\n`end` is ").unwrap();
    let words = |text: &str, mark: char| -> BTreeSet<String> {
        text.split(mark).skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut known = words(function.split_once("\n}").unwrap().0, '"');
    known.insert("committed".to_owned());
    assert!(known.len() >= 5, "{known:?}");
    assert_eq!(words(line.split_once(';').unwrap().0, '`'), known);
}

#[test]
fn names_and_units_follow_the_conventions() {
    for (name, said) in documented() {
        let plain = name.strip_suffix("_total").unwrap_or(&name);
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            said.kind == "counter",
            "{name}: counters and no others are totals"
        );
        assert!(
            said.unit.is_empty() || plain.ends_with(&format!("_{}", said.unit)),
            "{name} ends with its unit"
        );
        assert!(["", "seconds", "bytes", "records"].contains(&said.unit.as_str()), "{name}: a base unit");
        assert!(["counter", "gauge", "histogram"].contains(&said.kind.as_str()), "{name}");
        assert!(said.kind != "histogram" || !said.unit.is_empty(), "{name}: what is measured has a unit");
        assert!(!said.help.is_empty() && !said.help.ends_with('.'), "{name}");
    }
}
