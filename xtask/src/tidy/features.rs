//! What is for tests alone is in no program that anybody runs: planted mistakes, and the simulated disk.
//!
//! A package may define such a feature. It is asked for by the simulation, and among the dependencies of tests.

use super::Finding;
use super::tree::File;

const RULE: &str = "features";

/// Features for tests alone.
const FOR_TESTS: [&str; 2] = ["\"mistakes\"", "\"simulation\""];

/// The package that is nothing but a test.
const SIMULATION: &str = "crates/simulation/Cargo.toml";

pub fn check(manifest: &File) -> Vec<Finding> {
    if manifest.name() != "Cargo.toml" || manifest.path == SIMULATION {
        return Vec::new();
    }
    let mut section = "";
    let mut findings = Vec::new();
    for (line, text) in manifest.text.lines().map(str::trim).enumerate() {
        let text = text.split('#').next().unwrap_or_default();
        if let Some(header) = text.strip_prefix('[') {
            section = header.trim_end().trim_end_matches(']');
        }
        let asks =
            |feature: &&&str| text.contains(**feature) || text.contains(&format!("/{}", &feature[1..]));
        if let Some(feature) = FOR_TESTS.iter().find(asks).filter(|_| !section.contains("dev-dependencies")) {
            let message = format!("the feature {feature} is for tests alone; ask for it in dev-dependencies");
            findings.push(Finding::new(&manifest.path, line + 1, RULE, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&File { path: path.to_owned(), text: text.to_owned() }).len()
    }

    #[test]
    fn a_program_cannot_plant_mistakes() {
        let asked = "a = { workspace = true, features = [\"mistakes\"] }";
        for section in ["dependencies", "workspace.dependencies", "target.'cfg(unix)'.dependencies"] {
            assert_eq!(findings("crates/a/Cargo.toml", &format!("[{section}]\n{asked}")), 1, "{section}");
        }
        assert_eq!(findings("crates/a/Cargo.toml", "[features]\ndefault = [\"a/mistakes\"]"), 1);
        assert_eq!(findings("crates/a/Cargo.toml", "[features]\ndefault = [\"mistakes\"]"), 1);
    }

    #[test]
    fn tests_and_the_simulation_can() {
        let asked = "a = { workspace = true, features = [\"mistakes\"] }";
        assert_eq!(findings("crates/a/Cargo.toml", &format!("[dev-dependencies]\n{asked}")), 0);
        assert_eq!(findings(SIMULATION, &format!("[dependencies]\n{asked}")), 0);
        assert_eq!(findings("crates/a/Cargo.toml", "[features]\nmistakes = []"), 0);
    }
}
