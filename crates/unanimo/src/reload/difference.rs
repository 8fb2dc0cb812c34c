//! What one configuration changes against another, for people and as JSON.

use crate::reload::facts::{Facts, Outline};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// What changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Routes by name.
    routes: BTreeMap<String, Change>,
    /// Whether routes that both have stand in another order.
    reordered: bool,
    /// Services by name.
    services: BTreeMap<String, Change>,
    /// What follows a reload.
    settings: BTreeMap<String, Altered>,
    /// What holds only from the next start on.
    restart: BTreeMap<String, Altered>,
}

/// What becomes of a route or a service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Added(Facts),
    Removed(Facts),
    Changed(BTreeMap<String, Altered>),
}

/// What a value was and will be; `None` where there is none.
type Altered = (Option<String>, Option<String>);

/// The settings that differ from what the process was started with, by name.
pub fn restart(started: &Facts, wanted: &Facts) -> Vec<String> {
    altered(started, wanted).into_keys().collect()
}

impl Difference {
    /// What a reload from one to the other would change.
    pub fn between(old: &Outline, new: &Outline) -> Difference {
        let common = |outline: &Outline, other: &Outline| -> Vec<String> {
            let order = outline.order.iter();
            order.filter(|name| other.routes.contains_key(*name)).cloned().collect()
        };
        Difference {
            routes: changes(&old.routes, &new.routes),
            reordered: common(old, new) != common(new, old),
            services: changes(&old.services, &new.services),
            settings: altered(&old.settings, &new.settings),
            restart: altered(&old.process, &new.process),
        }
    }

    /// How many things change.
    pub fn len(&self) -> usize {
        let Difference { routes, reordered, services, settings, restart } = self;
        routes.len() + usize::from(*reordered) + services.len() + settings.len() + restart.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The difference as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "same": self.is_empty(),
            "routes": self.routes.iter().map(|(name, change)| change.to_json(name)).collect::<Vec<_>>(),
            "reordered": self.reordered,
            "services": self.services.iter().map(|(name, change)| change.to_json(name)).collect::<Vec<_>>(),
            "settings": values(&self.settings),
            "needs_restart": values(&self.restart),
        })
    }

    /// The difference as text.
    pub fn rendered(&self, coloured: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text, if coloured { &COLOURED } else { &PLAIN });
        text
    }

    fn write(&self, text: &mut String, paint: &Paint) -> fmt::Result {
        if !self.routes.is_empty() || self.reordered {
            writeln!(text, "{}routes{}", paint.bold, paint.off)?;
        }
        for (name, change) in &self.routes {
            change.write(text, paint, name, "")?;
        }
        if self.reordered {
            writeln!(
                text,
                "  {}~ another order{}: the first of two that take the same request may be another one",
                paint.changed, paint.off
            )?;
        }
        if !self.services.is_empty() {
            writeln!(text, "{}services{}", paint.bold, paint.off)?;
        }
        for (name, change) in &self.services {
            change.write(text, paint, name, "  (retired while something begun needs it)")?;
        }
        for (title, facts) in [("settings", &self.settings), ("needs a restart", &self.restart)] {
            if !facts.is_empty() {
                writeln!(text, "{}{title}{}", paint.bold, paint.off)?;
            }
            for (name, value) in facts {
                writeln!(text, "  {}~ {name}{}  {}", paint.changed, paint.off, arrow(value))?;
            }
        }
        Ok(())
    }
}

impl Change {
    fn to_json(&self, name: &str) -> Value {
        match self {
            Change::Added(facts) => json!({ "name": name, "change": "added", "now": facts }),
            Change::Removed(facts) => json!({ "name": name, "change": "removed", "before": facts }),
            Change::Changed(facts) => {
                json!({ "name": name, "change": "changed", "values": values(facts) })
            }
        }
    }

    fn write(&self, text: &mut String, paint: &Paint, name: &str, of_removed: &str) -> fmt::Result {
        match self {
            Change::Added(facts) => {
                writeln!(text, "  {}+ {name}{}  {}", paint.added, paint.off, summary(facts))
            }
            Change::Removed(facts) => {
                let summary = summary(facts);
                writeln!(text, "  {}- {name}{}  {summary}{of_removed}", paint.removed, paint.off)
            }
            Change::Changed(facts) => {
                writeln!(text, "  {}~ {name}{}", paint.changed, paint.off)?;
                for (fact, value) in facts {
                    let note = if fact == "plan" { "  (what was begun ends under its own)" } else { "" };
                    writeln!(text, "      {fact}  {}{note}", arrow(value))?;
                }
                Ok(())
            }
        }
    }
}

/// A route or a service in a few words.
fn summary(facts: &Facts) -> String {
    let shown = ["match.method", "match.host", "match.path", "match.prefix", "mode", "service", "endpoints"];
    let words = shown.into_iter().filter_map(|name| Some(facts.get(name)?.as_str()));
    words.collect::<Vec<_>>().join(" ")
}

fn arrow((old, new): &Altered) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(nothing)".to_owned());
    format!("{} → {}", shown(old), shown(new))
}

fn values(facts: &BTreeMap<String, Altered>) -> Value {
    facts.iter().map(|(name, (old, new))| json!({ "name": name, "before": old, "now": new })).collect()
}

fn changes(old: &BTreeMap<String, Facts>, new: &BTreeMap<String, Facts>) -> BTreeMap<String, Change> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| match (old.get(name), new.get(name)) {
        (Some(old), None) => Some(Change::Removed(old.clone())),
        (None, Some(new)) => Some(Change::Added(new.clone())),
        (old, new) if old == new => None,
        (old, new) => Some(Change::Changed(altered(old.unwrap_or(&NONE), new.unwrap_or(&NONE)))),
    };
    names.into_iter().filter_map(|name| Some((name.clone(), change(name)?))).collect()
}

static NONE: Facts = Facts::new();

fn altered(old: &Facts, new: &Facts) -> BTreeMap<String, Altered> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let altered = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    altered.map(|name| (name.clone(), (old.get(name).cloned(), new.get(name).cloned()))).collect()
}

struct Paint {
    added: &'static str,
    removed: &'static str,
    changed: &'static str,
    bold: &'static str,
    off: &'static str,
}

const PLAIN: Paint = Paint { added: "", removed: "", changed: "", bold: "", off: "" };
const COLOURED: Paint = Paint {
    added: "\u{1b}[32m",
    removed: "\u{1b}[31m",
    changed: "\u{1b}[33m",
    bold: "\u{1b}[1m",
    off: "\u{1b}[0m",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    const HEAD: &str = "listeners: { public: { address: 127.0.0.1:8080 } }\n\
                        journal: { directory: ./journal }\nworkers: 1\n";

    fn outline(rest: &str) -> Outline {
        let source = Source::of("a.yaml", [HEAD, rest].concat());
        let loaded = parse(&source).unwrap();
        Outline::of(&loaded.config, &loaded.digest, &loaded.folder)
    }

    const OLD: &str = "
services:
  a: { endpoints: [a:1], anonymous: true }
  b: { endpoints: [b:1] }
routes:
  - { name: one, match: { path: /one }, proxy: { service: b } }
  - name: two
    match: { method: POST, path: /two }
    transaction: { mode: tcc, branches: [{ name: a, service: a, path: /a }] }
  - { name: three, match: { path: /three }, proxy: { service: b } }
";

    #[test]
    fn what_a_reload_would_change_is_said_and_nothing_else() {
        let new = OLD
            .replace("a:1", "a:2")
            .replace("path: /a }", "path: /aa }")
            .replace("name: three", "name: four")
            .replace("services:", "limits: { body_size: 1MiB, connections: 7 }\nservices:");
        let difference = Difference::between(&outline(OLD), &outline(&new));
        let text = difference.rendered(false);
        let plan = text.lines().find(|line| line.contains("plan  ")).unwrap().to_owned();
        let expected = format!(
            "routes\n  + four  /three b\n  - three  /three b\n  ~ two\n{plan}\nservices\n  ~ a\n      \
             endpoints  a:1 → a:2\nsettings\n  ~ limits.body_size  1073741824 → 1048576\nneeds a restart\n  \
             ~ limits.connections  10000 → 7\n"
        );
        assert_eq!(text, expected);
        assert!(plan.ends_with("(what was begun ends under its own)"));
        let json = difference.to_json();
        assert_eq!((&json["same"], json["routes"].as_array().unwrap().len()), (&false.into(), 3));
        assert_eq!(json["needs_restart"][0]["now"], "7");
        assert!(difference.rendered(true).contains("\u{1b}[32m+ four\u{1b}[0m"));
    }

    #[test]
    fn the_same_is_empty_and_the_order_of_routes_counts() {
        let same = Difference::between(&outline(OLD), &outline(&format!("{OLD}# a comment\n")));
        assert!(same.is_empty() && same.rendered(false).is_empty());
        let three = "  - { name: three, match: { path: /three }, proxy: { service: b } }\n";
        let turned = OLD.replace(three, "").replace("routes:\n", &format!("routes:\n{three}"));
        let difference = Difference::between(&outline(OLD), &outline(&turned));
        assert_eq!((difference.len(), difference.reordered), (1, true));
        let shorter = Difference::between(&outline(OLD), &outline(&OLD.replace(three, "")));
        assert!(!shorter.reordered, "what is gone has no place");
    }
}
