//! `unanimo doctor` against real breakages, with a gateway that runs and without one.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use support::counter::Counter;
use support::gateway::{Choices, Gateway};
use support::{ports, scripted};
use tempfile::TempDir;

const CHECKS: [&str; 9] = [
    "configuration",
    "journal-directory",
    "journal-file-system",
    "journal-space",
    "journal-sync",
    "listener",
    "open-files",
    "clock",
    "service",
];

#[test]
fn before_the_start_and_beside_a_gateway_that_serves() {
    let mut counter = Counter::prepare(Choices::default());
    let folder = counter.folder.path().to_owned();
    let (code, before) = diagnosed(&folder);
    assert_eq!((code, &before["gateway"]), (0, &Value::Null), "{before:#}");
    let mut checks: Vec<_> =
        before["checks"].as_array().unwrap().iter().map(|it| it["check"].clone()).collect();
    checks.dedup();
    assert_eq!(checks, CHECKS.map(Value::from));
    assert!(said(&before, "journal-directory").contains("will be made in"), "{before:#}");
    assert!(!folder.join("journal").exists(), "looking makes nothing");
    assert_eq!(files_of(&folder), ["gateway.yaml"]);

    counter.gateway.start();
    let files = files_of(&folder.join("journal"));
    let (code, beside) = diagnosed(&folder);
    assert_eq!((code, &beside["gateway"]), (0, &json!(counter.gateway.process().id())), "{beside:#}");
    let public = format!("public {} is the gateway's", counter.gateway.public);
    let admin = format!("admin {} is the gateway's", counter.gateway.admin);
    assert_eq!(all_said(&beside, "listener"), [public, admin]);
    assert!(said(&beside, "open-files").contains("for the gateway that runs"), "{beside:#}");
    assert_eq!(files_of(&folder.join("journal")), files, "what was measured with is gone");
    counter.gateway.await_ready();

    // Once it has ended, its journal's lock file says nothing any more.
    assert_eq!(counter.gateway.terminate().code(), Some(0));
    assert_eq!(diagnosed(&folder).1["gateway"], Value::Null);
}

#[test]
fn a_port_that_another_process_has_fails_and_says_whose_it_is() {
    let broken = Broken::new(|_| {});
    let _other = TcpListener::bind(broken.gateway.public).unwrap();
    let (code, diagnosis) = diagnosed(broken.path());
    assert_eq!(code, 1);
    let (first, taken) = (judgement(&diagnosis, "listener"), said(&diagnosis, "listener"));
    assert_eq!(first, "fail", "{diagnosis:#}");
    assert!(taken.ends_with(&format!(", process {}", std::process::id())), "{taken}");
}

#[test]
fn a_service_that_is_dead_fails_and_one_that_is_half_dead_warns() {
    let alive = scripted::Scripted::start(|_| scripted::Said::json(200, "{}"));
    let dead = ports::reserve();
    let broken = Broken::new(|_| {});
    let (code, diagnosis) = diagnosed(broken.path());
    assert_eq!((code, judgement(&diagnosis, "service")), (1, "fail"), "{diagnosis:#}");
    assert!(said(&diagnosis, "service").ends_with("refuses connections"), "{diagnosis:#}");
    broken
        .replace("endpoints: [\"127.0.0.1:1\"]", &format!("endpoints: [\"{dead}\", \"{}\"]", alive.address));
    let (code, diagnosis) = diagnosed(broken.path());
    assert_eq!((code, judgement(&diagnosis, "service")), (0, "warn"), "{diagnosis:#}");
}

#[test]
fn a_file_system_that_forgets_fails_unless_that_is_accepted() {
    let memory = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is a tmpfs");
    let broken = Broken::new(|_| {});
    let place = memory.path().join("journal").display().to_string();
    broken.replace("./journal", &place);
    let (_, accepted) = diagnosed(broken.path());
    assert_eq!(judgement(&accepted, "journal-file-system"), "warn", "{accepted:#}");
    broken.replace("accept_ephemeral: true, ", "");
    let (code, refused) = diagnosed(broken.path());
    assert_eq!((code, judgement(&refused, "journal-file-system")), (1, "fail"), "{refused:#}");
    assert!(said(&refused, "journal-file-system").contains("tmpfs"), "{refused:#}");
    // The gateway judges alike.
    let started = program(broken.path(), &["run", "gateway.yaml"]);
    assert_eq!(started.status.code(), Some(3));
}

#[test]
fn a_directory_that_cannot_be_used_fails_and_the_disk_behind_it_is_not_judged() {
    let broken = Broken::new(|folder| fs::write(folder.join("journal"), "in the way").unwrap());
    let (code, diagnosis) = diagnosed(broken.path());
    assert_eq!((code, judgement(&diagnosis, "journal-directory")), (1, "fail"), "{diagnosis:#}");
    assert_eq!(all_said(&diagnosis, "journal-sync"), Vec::<String>::new());

    let open = Broken::new(|folder| {
        fs::create_dir(folder.join("journal")).unwrap();
        fs::set_permissions(folder.join("journal"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    let (_, diagnosis) = diagnosed(open.path());
    assert_eq!(judgement(&diagnosis, "journal-directory"), "warn", "{diagnosis:#}");
}

#[test]
fn a_limit_of_files_that_is_too_low_fails() {
    let broken = Broken::new(|_| {});
    let program = support::gateway::program();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64; exec \"$0\" doctor --json gateway.yaml"]).arg(program);
    let output = shell.current_dir(broken.path()).output().unwrap();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(judgement(&diagnosis, "open-files"), "fail", "{diagnosis:#}");
}

#[test]
fn a_participant_elsewhere_cannot_ask_at_loopback_and_a_name_needs_an_address() {
    let broken = Broken::new(|_| {});
    broken.replace("log: {}", "participants: { address: 127.0.0.1:0, url: \"http://127.0.0.1:9\" }");
    broken.replace("anonymous: true", "anonymous: true, asks: true");
    // 192.0.2.0/24 is nobody's; that nobody answers there is another check's matter.
    broken.replace("[\"127.0.0.1:1\"]", "[\"192.0.2.1:1\"]");
    let (_, diagnosis) = diagnosed(broken.path());
    assert_eq!(judgement(&diagnosis, "inquiry-address"), "fail", "{diagnosis:#}");
    broken.replace("192.0.2.1:1", "127.0.0.1:1");
    let (_, diagnosis) = diagnosed(broken.path());
    assert_eq!(judgement(&diagnosis, "inquiry-address"), "warn", "{diagnosis:#}");
    broken.replace("http://127.0.0.1:9", "http://nowhere.invalid:9");
    let (_, diagnosis) = diagnosed(broken.path());
    assert_eq!(judgement(&diagnosis, "inquiry-address"), "fail", "{diagnosis:#}");
}

#[test]
fn what_cannot_be_read_and_what_is_wrong_are_told_apart() {
    let broken = Broken::new(|folder| fs::write(folder.join("wrong.yaml"), "workers: many\n").unwrap());
    assert_eq!(program(broken.path(), &["doctor", "none.yaml"]).status.code(), Some(2));
    let wrong = program(broken.path(), &["doctor", "wrong.yaml"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("--> wrong.yaml:1:10"));
    let output = program(broken.path(), &["doctor", "--json", "wrong.yaml"]);
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), judgement(&diagnosis, "configuration")), (Some(1), "fail"));
}

#[test]
fn for_people_it_is_a_table_with_what_to_do_below_each_failure() {
    let broken = Broken::new(|_| {});
    let output = program(broken.path(), &["doctor", "gateway.yaml"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = " ✗ service              left: 127.0.0.1:1 refuses connections\n                        \
                    → start it, or correct its `endpoints`\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.ends_with("1 failure; docs/doctor.md explains each\n") && !text.contains('\x1b'), "{text}");
}

/// A configuration of one service that nobody serves, in a folder of its own.
struct Broken {
    gateway: Gateway,
    folder: TempDir,
}

impl Broken {
    fn new(breaks: impl FnOnce(&Path)) -> Broken {
        let folder = tempfile::tempdir().unwrap();
        let rest = "services:\n  left: { endpoints: [\"127.0.0.1:1\"], anonymous: true, connect_timeout: 200ms }\n\
                    routes:\n  - name: pay\n    match: { method: POST, path: /pay }\n    \
                    transaction: { mode: two-phase, deadline: 1s, branches: [{ name: a, service: left, path: /a }] }\n";
        let choices = Choices { more: "log: {}", ..Choices::default() };
        let gateway = Gateway::prepare(folder.path(), choices, rest);
        breaks(folder.path());
        Broken { gateway, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn replace(&self, from: &str, to: &str) {
        let file = self.path().join("gateway.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).unwrap();
    }
}

fn program(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(support::gateway::program()).args(arguments).current_dir(folder).output().unwrap()
}

/// The exit code, and what is said of this folder's configuration.
fn diagnosed(folder: &Path) -> (i32, Value) {
    let output = program(folder, &["doctor", "--json", "gateway.yaml"]);
    let diagnosis =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), diagnosis)
}

fn found<'d>(diagnosis: &'d Value, check: &str) -> Vec<&'d Value> {
    diagnosis["checks"].as_array().unwrap().iter().filter(|it| it["check"] == check).collect()
}

/// The judgement of the first finding of a check; what is not ok has advice.
fn judgement<'d>(diagnosis: &'d Value, check: &str) -> &'d str {
    let first = found(diagnosis, check)[0];
    let judgement = first["judgement"].as_str().unwrap();
    assert_eq!(judgement == "ok", first["advice"].is_null(), "{first}");
    judgement
}

fn said(diagnosis: &Value, check: &str) -> String {
    all_said(diagnosis, check).swap_remove(0)
}

fn all_said(diagnosis: &Value, check: &str) -> Vec<String> {
    found(diagnosis, check).iter().map(|it| it["said"].as_str().unwrap().to_owned()).collect()
}

fn files_of(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
