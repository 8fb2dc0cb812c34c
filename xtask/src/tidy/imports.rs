//! Who may import whom: the table in `ARCHITECTURE.md` against the manifests.
//!
//! The table is the block fenced as `imports`; a line reads `package -> package package`, without the
//! prefix `unanimo-`. It holds for dependencies and build dependencies; tests may import what they like.
//! Every package of the workspace has a line, and every line a package, so that the table stays the truth.

use super::Finding;
use super::tree::{File, Tree};

const RULE: &str = "imports";
const TABLE: &str = "ARCHITECTURE.md";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.file(TABLE) else {
        return vec![Finding::new(TABLE, 1, RULE, "the file with the table of imports is missing")];
    };
    let rows = rows(table);
    let packages: Vec<_> = tree.files.iter().filter_map(Package::read).collect();
    let mut findings: Vec<_> = packages.iter().flat_map(|package| arrows(package, &rows)).collect();
    for row in &rows {
        if !packages.iter().any(|package| package.name == row.package) {
            let message = format!("no package is called `{}`; remove its line, or correct it", row.package);
            findings.push(Finding::new(TABLE, row.line, RULE, message));
        }
    }
    findings
}

/// What one package imports and may not.
fn arrows(package: &Package, rows: &[Row]) -> Vec<Finding> {
    let Package { path, name, line, imports } = package;
    let Some(row) = rows.iter().find(|row| row.package == *name) else {
        let message = format!("package `{name}` has no line in the table of {TABLE}; add one");
        return vec![Finding::new(path, *line, RULE, message)];
    };
    let foreign = imports.iter().filter(|(import, _)| !row.may_import.contains(import));
    foreign
        .map(|(import, line)| {
            let message = format!(
                "`{name}` may not import `{import}` ({TABLE}:{}); move the code to where the arrow points, \
                 or pass what is needed through a trait",
                row.line
            );
            Finding::new(path, *line, RULE, message)
        })
        .collect()
}

struct Row<'a> {
    package: &'a str,
    may_import: Vec<&'a str>,
    line: usize,
}

fn rows(table: &File) -> Vec<Row<'_>> {
    let lines = table.text.lines().enumerate().skip_while(|(_, line)| line.trim() != "```imports").skip(1);
    let block = lines.take_while(|(_, line)| !line.starts_with("```"));
    block
        .filter_map(|(index, line)| {
            let (package, imports) = line.split_once("->")?;
            let may_import = imports.split_whitespace().collect();
            Some(Row { package: package.trim(), may_import, line: index + 1 })
        })
        .collect()
}

struct Package<'a> {
    path: &'a str,
    name: &'a str,
    /// The line of its name.
    line: usize,
    /// Packages of ours, each with its line.
    imports: Vec<(&'a str, usize)>,
}

impl<'a> Package<'a> {
    fn read(manifest: &'a File) -> Option<Self> {
        if manifest.name() != "Cargo.toml" {
            return None;
        }
        let mut section = "";
        let mut name = None;
        let mut imports = Vec::new();
        for (line, text) in manifest.text.lines().map(str::trim).enumerate() {
            if let Some(header) = text.strip_prefix('[') {
                section = header.trim_end_matches(']');
                // `[dependencies.unanimo-journal]`
                if let Some((_, import)) = section.split_once("dependencies.").filter(|_| holds(section)) {
                    imports.extend(ours(import).map(|import| (import, line + 1)));
                }
            } else if section == "package" && text.starts_with("name") {
                name = text.split('"').nth(1).map(|name| (short(name), line + 1));
            } else if holds(section) {
                let renamed = ["package =", "package="].iter().find_map(|key| text.split_once(key));
                let renamed = renamed.and_then(|(_, after)| after.split('"').nth(1));
                let import = renamed.or_else(|| text.split(['.', '=', ' ']).next());
                imports.extend(import.and_then(ours).map(|import| (import, line + 1)));
            }
        }
        let (name, line) = name?;
        Some(Self { path: &manifest.path, name, line, imports })
    }
}

/// Whether a manifest's section lists what the package itself needs.
fn holds(section: &str) -> bool {
    section.contains("dependencies") && !section.contains("dev-dependencies")
}

fn ours(package: &str) -> Option<&str> {
    let package = package.trim().trim_matches('"');
    if package == "unanimo" { Some(package) } else { package.strip_prefix("unanimo-") }
}

fn short(package: &str) -> &str {
    package.strip_prefix("unanimo-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(table: &str, manifest: &str) -> Vec<String> {
        let table = format!("# Map\n\n```imports\n{table}\n```\nafter -> nothing\n");
        let files = [(TABLE, table.as_str()), ("crates/a/Cargo.toml", manifest)];
        let files = files.map(|(path, text)| File { path: path.to_owned(), text: text.to_owned() });
        check(&Tree { files: files.into() }).iter().map(ToString::to_string).collect()
    }

    const A: &str = "[package]\nname = \"unanimo-a\"\n\n[dependencies]\n";

    #[test]
    fn an_arrow_that_the_table_lacks_is_found() {
        for import in [
            "unanimo-b.workspace = true",
            "unanimo-b = { path = \"packages/b\" }",
            "other = { package = \"unanimo-b\" }",
            "[target.'cfg(unix)'.dependencies]\nunanimo-b.workspace = true",
            "[dependencies.unanimo-b]\npath = \"../b\"",
            "[build-dependencies]\nunanimo-b.workspace = true",
        ] {
            let found = findings("a -> c d", &format!("{A}{import}"));
            assert_eq!(found.len(), 1, "{import}: {found:?}");
            assert!(found.iter().all(|line| line.contains("`a` may not import `b`")), "{found:?}");
        }
    }

    #[test]
    fn allowed_arrows_and_tests_are_free() {
        let manifest = format!(
            "{A}unanimo-b.workspace = true\nbytes = \"1\"\n[dev-dependencies]\nunanimo-z.workspace = true"
        );
        assert_eq!(findings("a -> b", &manifest), Vec::<String>::new());
    }

    #[test]
    fn the_table_and_the_packages_must_agree() {
        assert_eq!(findings("a ->\nb -> a", A).len(), 1);
        assert_eq!(findings("", A).len(), 1);
    }
}
