//! That schema and reader know the same keys, and think the same of every file that there is.

use super::super::cursor;
use super::super::mistake::Notes;
use super::super::number::{self, Number};
use super::super::yaml::{Node, Scalar, Value as Yaml};
use super::super::{Source, parse, read, tree};
use super::schema;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Keys = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The corpus: every configuration, and whether it can be served.
fn corpus() -> Vec<(String, Source, bool)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check");
    let paths = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == "yaml" || it == "d"));
    let case = |path: PathBuf| {
        let said = fs::read_to_string(path.with_extension("txt")).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, read(&path).unwrap(), said.starts_with("exit 0"))
    };
    paths.map(case).collect()
}

/// The tree as a validator sees it; `None` where there is none. The environment has no part in it: an editor knows
/// nothing of it either.
fn json_of(source: &Source) -> Option<Value> {
    let notes = Notes::new(source);
    let tree = tree(source, &notes, None)?;
    if notes.has_errors() { None } else { Some(value_of(&tree)) }
}

fn value_of(node: &Node) -> Value {
    match &node.value {
        Yaml::Scalar(Scalar { text, plain: true, .. }) => match (text.as_str(), number::parse(text)) {
            ("true" | "false", _) => json!(text == "true"),
            _ if node.is_nothing() => Value::Null,
            (_, Number::Exact(number)) => Value::Number(number),
            _ => json!(text),
        },
        Yaml::Scalar(scalar) => json!(scalar.text),
        Yaml::Sequence(elements) => elements.iter().map(value_of).collect(),
        Yaml::Mapping(entries) => {
            entries.iter().map(|entry| (entry.key.clone(), value_of(&entry.value))).collect()
        }
    }
}

fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options().build(schema).unwrap()
}

fn faults(validator: &Validator, value: &Value) -> String {
    validator.iter_errors(value).map(|error| format!("{}: {error}\n", error.instance_path())).collect()
}

/// The mappings whose keys the schema knows, by what they are called.
fn keys_in(schema: &Value, keys: &mut Keys) {
    match schema {
        Value::Object(members) => {
            if let (Some(title), Some(properties)) = (members.get("title"), members.get("properties")) {
                assert_eq!(members["additionalProperties"], false, "{title}");
                let names = properties.as_object().unwrap().keys().cloned().collect();
                let other = keys.insert(title.as_str().unwrap().to_owned(), names);
                assert_eq!(other, None, "two mappings are called {title}");
            }
            members.values().for_each(|member| keys_in(member, keys));
        }
        Value::Array(elements) => elements.iter().for_each(|element| keys_in(element, keys)),
        _ => {}
    }
}

#[test]
fn schema_and_reader_know_the_same_keys() {
    let mut known = Keys::new();
    keys_in(&schema(false), &mut known);
    let mut read = Keys::new();
    for (_, source, _) in corpus() {
        drop(parse(&source));
        for (what, keys) in cursor::known::take() {
            let keys: BTreeSet<_> = keys.into_iter().map(str::to_owned).collect();
            let other = read.insert(what.replace('`', ""), keys.clone());
            assert!(other.is_none_or(|other| other == keys), "{what} is read in two ways");
        }
    }
    assert_eq!(known, read);
}

#[test]
fn every_key_is_described() {
    fn walk(schema: &Value, whole: &Value, path: &str) {
        let Some(members) = schema.as_object() else { return };
        for (name, property) in members.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let pointer = property["$ref"].as_str().map(|it| it.trim_start_matches('#').to_owned());
            let meant = pointer.map_or(property, |pointer| whole.pointer(&pointer).unwrap());
            let text = property["description"].as_str().or(meant["description"].as_str()).unwrap_or_default();
            assert!(text.len() > 5 && text.ends_with('.'), "{path}/{name}: {text:?}");
        }
        for (name, member) in members {
            walk(member, whole, &format!("{path}/{name}"));
        }
    }
    let schema = schema(false);
    walk(&schema, &schema, "");
}

#[test]
fn every_file_that_can_be_served_is_valid() {
    let schema = validator(&schema(false));
    let mut valid = 0;
    for (name, source, _) in corpus().into_iter().filter(|(_, _, is_good)| *is_good) {
        assert_eq!(faults(&schema, &json_of(&source).unwrap()), "", "{name}");
        valid += 1;
    }
    assert!(valid >= 5, "only {valid} good files");
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let file = example.unwrap().path().join("gateway.yaml");
        if file.exists() {
            assert_eq!(faults(&schema, &json_of(&read(&file).unwrap()).unwrap()), "", "{}", file.display());
        }
    }
}

#[test]
fn every_configuration_in_the_documentation_is_valid() {
    let schema = validator(&schema(false));
    let mut pages = vec![root().join("README.md")];
    for folder in [
        "docs",
        "docs/problems",
        "docs/decisions",
        "examples/shop",
        "examples/bank-python",
        "examples/travel",
    ] {
        pages.extend(fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut found = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|it| it == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            let source = Source::of(page, block.split("```").next().unwrap());
            let value = json_of(&source).unwrap_or_else(|| panic!("{}: no YAML:\n{block}", page.display()));
            if value["listeners"].is_null() {
                assert!(is_piece(&value), "{}:\n{block}", page.display());
            } else {
                assert_eq!(faults(&schema, &value), "", "{}:\n{block}", page.display());
                found += 1;
            }
        }
    }
    assert!(found >= 3, "only {found} configurations were found");
}

/// Whether it may stand in a configuration as some keys of one mapping, such as those of a branch.
fn is_piece(value: &Value) -> bool {
    let whole = schema(false);
    whole["$defs"].as_object().unwrap().values().filter(|mapping| mapping["type"] == "object").any(
        |mapping| {
            let mut mapping = mapping.clone();
            mapping.as_object_mut().unwrap().remove("required");
            mapping["$defs"] = whole["$defs"].clone();
            mapping["properties"].is_object() && validator(&mapping).is_valid(value)
        },
    )
}

#[test]
fn what_has_the_wrong_shape_is_invalid() {
    let schema = validator(&schema(false));
    // Unknown keys, wrong kinds, words, units and bounds, and what is missing: all that a shape can say.
    let wrong = [
        "branch-keys",
        "branch-names",
        "branches-none",
        "branches-too-many",
        "counts",
        "durations",
        "environment-tokens",
        "keys-missing",
        "keys-unknown",
        "keys-without-value",
        "kinds",
        "listener-addresses",
        "log-words",
        "nothing-to-do",
        "numbers",
        "respond-status",
        "route-actions",
        "route-methods",
        "route-names",
        "saga-attempts",
        "saga-keys",
        "service-endpoints-missing",
        "service-names",
        "service-settings",
        "services-none",
        "sizes",
        "transaction-keys",
        "transaction-mode-to-come",
        "transaction-mode-unknown",
        "yaml-not-a-mapping",
    ];
    let corpus = corpus();
    let mut missed = Vec::new();
    for name in wrong {
        let (_, source, is_good) = corpus.iter().find(|(known, _, _)| known == name).unwrap();
        assert!(!is_good, "{name}");
        if json_of(source).is_some_and(|value| schema.is_valid(&value)) {
            missed.push(name);
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
}

#[test]
fn a_file_of_a_folder_need_not_say_everything() {
    let (whole, part) = (validator(&schema(false)), validator(&schema(true)));
    let one = json!({ "services": { "bank": { "endpoints": ["bank:1"] } } });
    assert!(part.is_valid(&one) && !whole.is_valid(&one));
    assert!(!part.is_valid(&json!({ "servces": {} })));
}
