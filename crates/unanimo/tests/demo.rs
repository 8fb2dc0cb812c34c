//! The demonstration, as a stranger runs it: the audit is right, what it offers to try works, and nothing stays behind.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CLAIMS: [&str; 9] = [
    "All four, or none",
    "Money is conserved",
    "Stock is conserved",
    "One mail for each",
    "Committed is true",
    "Rolled back is true",
    "Same key, same answer",
    "Every client knows",
    "Nothing is left",
];

#[test]
fn the_audit_is_right_and_what_is_offered_can_be_tried() {
    let mut demo = Demo::start(&["--seconds", "6", "--clients", "16", "--keep", "--directory", "kept"]);
    demo.within(Duration::from_secs(150), "the end of the story", |demo| {
        assert!(demo.child.try_wait().unwrap().is_none(), "it ended early:\n{}", demo.said());
        demo.story().contains("Ctrl-C ends it all.")
    });
    let (story, audit) = (demo.story(), demo.audit());
    for claim in CLAIMS {
        assert!(audit.contains(&format!(" ✓ {claim} ")), "no proof of `{claim}`:\n{audit}");
    }
    assert!(audit.contains("All 9 lines are right.") && !audit.contains('✗'), "{audit}");
    assert!(!story.contains('\x1b') && !audit.contains('\x1b'), "a file is no terminal:\n{story}{audit}");
    assert_eq!(story.matches("is killed with SIGKILL").count(), 2, "{story}");

    let [order, again, look] = tried(&story);
    assert!(order.starts_with("HTTP/1.1 200 "), "{order}");
    let id = header(&order, "unanimo-transaction");
    assert_eq!((header(&again, "unanimo-transaction"), body(&again)), (id, body(&order)));
    assert!(look.starts_with("HTTP/1.1 200 ") && body(&look).contains(r#""verdict":"#), "{look}");

    demo.signal(Signal::INT);
    let status = demo.child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", demo.said());
    assert!(demo.folder.path().join("kept/gateway.yaml").exists());
    assert_eq!(demo.left_in_temporary(), Vec::<PathBuf>::new());
}

#[test]
fn whoever_ends_it_finds_none_of_its_processes_left() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut demo = Demo::start(&["--seconds", "600"]);
        demo.within(Duration::from_secs(60), "the start", |demo| {
            demo.story().contains("clients place orders")
        });
        let children = children_of(demo.child.id());
        assert_eq!(children.len(), 5, "four services and a gateway");
        demo.signal(signal);
        let status = demo.child.wait().unwrap();
        demo.within(Duration::from_secs(20), "the end of its processes", |_| {
            children.iter().all(|child| !is_alive(*child))
        });
        if signal != Signal::KILL {
            assert_eq!(status.code(), Some(130), "{}", demo.said());
            assert_eq!(demo.left_in_temporary(), Vec::<PathBuf>::new());
        }
    }
}

/// A running demonstration, in a folder of its own.
struct Demo {
    child: Child,
    folder: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("temporary");
        fs::create_dir(&temporary).unwrap();
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_unanimo"))
            .arg("demo")
            .args(arguments)
            .current_dir(&folder)
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(file("audit"))
            .stderr(file("story"))
            .spawn()
            .unwrap();
        Demo { child, folder }
    }

    fn story(&self) -> String {
        fs::read_to_string(self.folder.path().join("story")).unwrap()
    }

    fn audit(&self) -> String {
        fs::read_to_string(self.folder.path().join("audit")).unwrap()
    }

    fn said(&self) -> String {
        self.story() + &self.audit()
    }

    fn signal(&self, signal: Signal) {
        // The child is ours and was not waited for, so that its number is nobody else's.
        kill_process(pid(self.child.id()), signal).unwrap();
    }

    fn left_in_temporary(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("temporary")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Waits for a condition.
    fn within(&mut self, patience: Duration, what: &str, mut is_so: impl FnMut(&mut Demo) -> bool) {
        let latest = now() + patience;
        while !is_so(self) {
            assert!(now() < latest, "not within {patience:?}: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// The state and the parent of a process.
fn stat(number: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(Path::new("/proc").join(number.to_string()).join("stat")).ok()?;
    // The name before it stands in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|number| stat(*number).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

/// A process that has ended and that nobody has asked about is not alive.
fn is_alive(number: u32) -> bool {
    stat(number).is_some_and(|(state, _)| state != 'Z')
}

/// Does what the three offered commands do, and gives the answers.
fn tried(story: &str) -> [String; 3] {
    let offered = story.split("\n    curl ").skip(1).map(|rest| rest.split("\n\n").next().unwrap());
    let answers: Vec<_> = offered.map(|command| curl(&command.replace("\\\n", ""))).collect();
    answers.try_into().unwrap()
}

fn curl(arguments: &str) -> String {
    let mut quoted = arguments.split('\'');
    let url = quoted.next().unwrap().split(' ').find_map(|word| word.strip_prefix("http://")).unwrap();
    let (host, path) = url.split_once('/').unwrap();
    let quoted: Vec<_> = quoted.step_by(2).filter(|text| !text.is_empty()).collect();
    let (data, headers) = quoted.split_last().unwrap_or((&"", &[]));
    let method = if data.is_empty() { "GET" } else { "POST" };
    let mut request = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    headers.iter().for_each(|header| request.push_str(&format!("{header}\r\n")));
    request.push_str(&format!("Content-Length: {}\r\n\r\n{data}", data.len()));
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "it bounds the waiting of tests")]
    Instant::now()
}
