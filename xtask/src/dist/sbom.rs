//! What is in the program: a bill of materials in CycloneDX's JSON, from what cargo has resolved.

use super::target::Target;
use super::{Release, read, write};
use crate::command::{cannot_start, cargo, root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The package that is given away.
const PROGRAM: &str = "unanimo";

/// Writes the bill of the program for this target.
pub fn write_bill(target: Target, release: &Release, file: &Path) -> Result<(), String> {
    let mut command = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform"]);
    let output = command.arg(target.triple).output().map_err(|error| cannot_start(&command, &error))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let sums = checksums(&read(&root().join("Cargo.lock"))?);
    let bill = bill(&metadata, &sums, release)?;
    write(file, format!("{bill:#}\n"), 0o644)
}

/// The packages that are linked into the program, and who needs whom.
fn bill(metadata: &Value, sums: &Checksums, release: &Release) -> Result<Value, String> {
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let needs: BTreeMap<&str, BTreeSet<&str>> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| Some((node["id"].as_str()?, list(&node["deps"]).filter_map(linked).collect())))
        .collect();
    let program = packages.iter().find(|(_, it)| it["name"] == PROGRAM).map(|(id, _)| *id);
    let program = program.ok_or("cargo does not know the program")?;
    let (mut all, mut next) = (BTreeSet::from([program]), vec![program]);
    while let Some(id) = next.pop() {
        next.extend(needs.get(id).into_iter().flatten().filter(|needed| all.insert(needed)));
    }
    let of = |id: &&str| packages.get(*id).copied().ok_or_else(|| format!("cargo does not know {id}"));
    let reference = |id: &&str| of(id).map(purl);
    let components = all.iter().filter(|id| **id != program);
    let components = components.map(|id| Ok(component(of(id)?, "library", sums)));
    let dependencies = all.iter().map(|id| {
        let needed =
            needs.get(id).into_iter().flatten().map(reference).collect::<Result<Vec<_>, String>>()?;
        Ok(json!({ "ref": reference(id)?, "dependsOn": needed }))
    });
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": moment(release.epoch),
            "component": component(of(&program)?, "application", sums),
        },
        "components": components.collect::<Result<Vec<Value>, String>>()?,
        "dependencies": dependencies.collect::<Result<Vec<Value>, String>>()?,
    }))
}

/// What a dependency names, where it is linked: neither for tests nor for a build script alone.
fn linked(dependency: &Value) -> Option<&str> {
    let is_linked = list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
    dependency["pkg"].as_str().filter(|_| is_linked)
}

fn component(package: &Value, kind: &str, sums: &Checksums) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let mut component = json!({
        "type": kind,
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
    });
    if let Some(licence) = package["license"].as_str() {
        // As manifests wrote it before there was a grammar.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
    }
    if let Some(sum) = sums.get(&(name.to_owned(), version.to_owned())) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    component
}

fn purl(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default().replace('+', "%2B");
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

/// Sums of the sources as they came, by name and version.
type Checksums = BTreeMap<(String, String), String>;

fn checksums(lock: &str) -> Checksums {
    let package = |section: &str| {
        let value = |key: &str| {
            let line = section.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
            Some(line.strip_suffix('"')?.to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    };
    lock.split("[[package]]").filter_map(package).collect()
}

/// Seconds since 1970 as `2026-11-21T17:45:20Z`.
fn moment(epoch: u64) -> String {
    let (days, second) = (epoch / 86_400, epoch % 86_400);
    // Years that begin in March end with the leap day; 1970 began 719,468 days after one that opens 400 of them.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::target::TARGETS;

    #[test]
    fn the_bill_names_what_is_linked_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bill.json");
        let release = Release { version: "1.2.3".to_owned(), epoch: 1_700_000_000 };
        write_bill(TARGETS[0], &release, &file).unwrap();
        let bill: Value = serde_json::from_str(&read(&file).unwrap()).unwrap();
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        assert_eq!(bill["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(bill["metadata"]["component"]["name"], "unanimo");
        let names: Vec<_> = list(&bill["components"]).map(|it| it["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"tokio") && names.contains(&"unanimo-journal"), "{names:?}");
        // A macro's own parts run when it is built; tests have theirs.
        assert!(!names.contains(&"jsonschema") && !names.contains(&"xtask"), "{names:?}");
        // Everything is named once, has a licence, and is told apart from its neighbours.
        let mut references: BTreeSet<_> =
            list(&bill["components"]).map(|it| it["bom-ref"].as_str().unwrap()).collect();
        assert_eq!(references.len(), names.len());
        references.insert(bill["metadata"]["component"]["bom-ref"].as_str().unwrap());
        for component in list(&bill["components"]) {
            assert!(component["licenses"][0]["expression"].is_string(), "{component}");
            let is_ours = component["name"].as_str().unwrap().starts_with("unanimo");
            assert_eq!(component["hashes"][0]["content"].is_string(), !is_ours, "{component}");
        }
        for dependency in list(&bill["dependencies"]) {
            let named = list(&dependency["dependsOn"]).chain([&dependency["ref"]]);
            named.for_each(|it| assert!(references.contains(it.as_str().unwrap()), "{it}"));
        }
    }

    #[test]
    fn a_moment_has_its_date() {
        for (epoch, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(epoch), expected);
        }
    }
}
