//! `unanimo check`, through the real program: a corpus of wrong files, each with what is said of it beside it.
//!
//! `UNANIMO_BLESS=1 cargo test -p unanimo --test check` writes what is said now; read the difference before it is kept.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_wrong_file_is_told_so() {
    let folder = Path::new(HERE).join("tests/check");
    // Who checks a tree out cannot say who may read a file.
    for key in files_with(&folder, "key") {
        let mode = if key.ends_with("readable.key") { 0o644 } else { 0o600 };
        fs::set_permissions(key, fs::Permissions::from_mode(mode)).unwrap();
    }
    // A folder is one configuration.
    let files = [files_with(&folder, "yaml"), files_with(&folder, "d")].concat();
    assert!(files.len() >= 40, "only {} files in {}", files.len(), folder.display());
    let bless = std::env::var_os("UNANIMO_BLESS").is_some();
    let mut differ = Vec::new();
    for file in &files {
        let said = told(&check(&folder, file.file_name().unwrap()));
        let beside = file.with_extension("txt");
        if bless {
            fs::write(&beside, &said).unwrap();
        } else if fs::read_to_string(&beside).ok().as_ref() != Some(&said) {
            differ.push(format!("{}:\n{said}", file.display()));
        }
    }
    assert!(differ.is_empty(), "said differently of {} files:\n\n{}", differ.len(), differ.join("\n"));
    assert_eq!(files_with(&folder, "txt").len(), files.len(), "an expectation stands there without its file");
}

#[test]
fn the_example_of_the_documentation_is_in_order() {
    let page = fs::read_to_string(Path::new(HERE).join("../../docs/configuration.md")).unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(told_with_tokens(example), "exit 0\ngateway.yaml: ok (2 routes, 3 services)\n");
}

#[test]
fn every_example_is_in_order() {
    let examples = fs::read_dir(Path::new(HERE).join("../../examples")).unwrap();
    for file in examples.flat_map(|entry| files_with(&entry.unwrap().path(), "yaml")) {
        let said = told_with_tokens(&fs::read_to_string(&file).unwrap());
        assert!(said.starts_with("exit 0\ngateway.yaml: ok"), "{}:\n{said}", file.display());
    }
}

#[test]
fn a_token_is_one_line_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("bank.token");
    let config = folder.path().join("gateway.yaml");
    fs::write(&config, ONE_SERVICE).unwrap();
    let cases: [(&str, u32, i32, &str); 7] = [
        ("  s3cret \n", 0o600, 0, "ok (1 route, 1 service)"),
        ("s3cret\n", 0o640, 0, "ok (1 route, 1 service)"),
        ("s3cret\n", 0o644, 0, "warning: every user of this machine can read the token in `bank.token`"),
        ("", 0o600, 1, "`bank.token` holds no token"),
        ("s3cret\nsecond\n", 0o600, 1, "`bank.token` holds no token"),
        ("s3cret\u{e9}", 0o600, 1, "`bank.token` holds no token"),
        (&"s".repeat(20_000), 0o600, 1, "it is too large for a token"),
    ];
    for (text, mode, code, expected) in cases {
        write_token(&token, text, mode);
        let output = check(folder.path(), OsStr::new("gateway.yaml"));
        let said = told(&output);
        assert!(output.status.code() == Some(code) && said.contains(expected), "{expected}:\n{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn relative_paths_are_reckoned_from_the_files_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    write_token(&folder.path().join("deep/bank.token"), "s3cret", 0o600);
    fs::write(folder.path().join("deep/gateway.yaml"), ONE_SERVICE).unwrap();
    let output = check(folder.path(), OsStr::new("deep/gateway.yaml"));
    assert_eq!(told(&output), "exit 0\ndeep/gateway.yaml: ok (1 route, 1 service)\n");
}

#[test]
fn a_file_that_cannot_be_read_is_another_failure_than_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin.yaml"), b"name: \xe4").unwrap();
    fs::write(folder.path().join("large.yaml"), "#".repeat(2 * 1024 * 1024)).unwrap();
    for (folder_name, file) in [("empty", ".hidden.yaml"), ("odd", "b.yml")] {
        fs::create_dir(folder.path().join(folder_name)).unwrap();
        fs::write(folder.path().join(folder_name).join(file), "").unwrap();
    }
    for (file, why) in [
        ("missing.yaml", "missing.yaml cannot be read: No such file"),
        (".", "./large.yaml cannot be read: it is larger than 1MiB"),
        ("empty", "empty holds no file whose name ends in `.yaml`"),
        ("odd", "odd/b.yml would not be read: only names that end in `.yaml` are"),
        ("latin.yaml", "latin.yaml cannot be read: stream did not contain valid UTF-8"),
        ("large.yaml", "large.yaml cannot be read: it is larger than 1MiB"),
    ] {
        let output = check(folder.path(), OsStr::new(file));
        let said = told(&output);
        assert!(said.starts_with(&format!("exit 2\nerror: {why}")), "{said}");
    }
}

#[test]
fn aliases_cannot_make_a_small_file_large() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    fs::write(folder.path().join("bomb.yaml"), text).unwrap();
    let said = told(&check(folder.path(), OsStr::new("bomb.yaml")));
    assert!(said.contains("aliases repeat at most 10000 values"), "{said}");
}

const ONE_SERVICE: &str = "\
listeners: { public: { address: 127.0.0.1:0 } }
journal: { directory: journal }
services:
  bank: { endpoints: [127.0.0.1:7001], credential: { bearer_file: bank.token } }
routes:
  - name: all
    match: { prefix: / }
    proxy: { service: bank }
";

fn check(folder: &Path, file: &OsStr) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unanimo"));
    command.arg("check").arg(file).current_dir(folder);
    command.envs([("TEST_HOST", "127.0.0.1"), ("TEST_PORT", "8080"), ("TEST_TOKEN", "s3cret-token")]);
    command.envs([("TEST_WORD", "word"), ("TEST_EXPRESSION", "a${request.body}"), ("TEST_EMPTY", "")]);
    command.output().unwrap()
}

/// What is said of this text, where every token that it names is there.
fn told_with_tokens(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.yaml"), text).unwrap();
    for after in text.split("bearer_file: ").skip(1) {
        let name = after.split([' ', '\n', '}']).next().unwrap();
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        write_token(&file, "s3cret\n", 0o600);
    }
    told(&check(folder.path(), OsStr::new("gateway.yaml")))
}

/// The exit code and all that was written.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    format!("exit {code}\n{}{}", text(&output.stderr), text(&output.stdout))
}

fn write_token(file: &Path, text: &str, mode: u32) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

/// The folder's files of this kind, by name; none where the path is no folder.
fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension() == Some(OsStr::new(extension)));
    files.sort();
    files
}

#[test]
fn what_the_environment_holds_is_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "s3cret-token";
    // Wrong at every place where a value could be repeated.
    let places = [
        "listeners: { public: { address: $ } }",
        "workers: $",
        "limits: { header_size: $, header_timeout: $, connections: $ }",
        "retry: { budget: { ratio: $ }, initial: $ }",
        "log: { level: $ }",
        "services: { a: { endpoints: [$, \"x$y\"], anonymous: $, credential: { bearer: $ } } }",
        "services: { a: { endpoints: [a:1], credential: { bearer_file: $ } } }",
        "routes: [{ name: $, match: { method: $, path: $, host: $ }, proxy: { service: $, timeout: $ } }]",
        "routes: [{ name: a, match: { path: /a, method: POST }, transaction: { mode: $, deadline: $, pass_credentials: [\"$ $\"], branches: [{ name: $, service: $, path: $, after: [$], call_timeout: $, headers: { a: \"${$}\" }, body: \"${$}\" }], refused: $ } }]",
    ];
    for place in places {
        let text =
            place.replace('$', "\"$env{TEST_TOKEN}\"").replace("\"x\"$", "\"x$").replace("\"y\"", "y\"");
        fs::write(folder.path().join("gateway.yaml"), &text).unwrap();
        let said = told(&check(folder.path(), OsStr::new("gateway.yaml")));
        assert!(said.starts_with("exit 1\n") && !said.contains(secret), "{text}\n{said}");
    }
}
