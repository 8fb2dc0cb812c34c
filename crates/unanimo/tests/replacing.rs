//! A process takes another one's place while clients go on: the sockets stay open, the journal passes on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use rustix::process::Signal;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::{Choices, program};
use support::http::{self, Client, Request};
use support::process::{PATIENCE, Process};

/// Starts the program with a socket that this test keeps, as a service manager does: at the number 3, with the
/// environment that says so.
fn spawn(folder: &Path, socket: &TcpListener, name: &str, log: &str) -> Process {
    let kept = OwnedFd::from(socket.try_clone().unwrap());
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run gateway.yaml";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(program()).env("LISTEN_FDNAMES", name).current_dir(folder);
    Process::spawn_with(log, &mut command, &folder.join(log), Stdio::from(kept))
}

fn await_ready(process: &mut Process, admin: SocketAddr) {
    within("it is ready", PATIENCE, || {
        process.assert_alive();
        match http::once(admin, Request::get("/readyz"), PATIENCE) {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}\n{}", process.said())),
        }
    });
}

/// A client that goes on until it is told to stop: on a connection that it keeps, or on a new one for each request.
fn go_on(address: SocketAddr, keeps: bool, first: usize, shared: &Shared) {
    let mut client = Client::new(address);
    let mut number = first;
    while !shared.stop.load(Ordering::Relaxed) {
        number += 4;
        let amount = format!("{number}.50");
        let paid = body("yes", "yes", &amount);
        let key = [("Idempotency-Key", amount.as_str())];
        let pays = (number / 4).is_multiple_of(2);
        let request = if pays { Request::post("/pay", &key, &paid) } else { Request::get("/plain") };
        let answer = match keeps {
            true => client.send(request, PATIENCE),
            false => http::once(address, request, PATIENCE),
        };
        let answer = answer.expect("no connection is refused or reset, and no request lost");
        assert_eq!(answer.status, if pays { 201 } else { 200 }, "{}", answer.text());
        if pays {
            shared.paid.lock().unwrap().insert(amount);
        }
        shared.served.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    served: AtomicUsize,
    paid: Mutex<BTreeSet<String>>,
}

#[test]
fn the_program_is_swapped_twice_under_load_and_nobody_notices() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut counter = Counter::prepare(Choices { more: "workers: 2", ..Choices::default() });
    counter.door.open();
    counter.gateway.listen_on(address);
    let (folder, admin) = (counter.folder.path().to_owned(), counter.gateway.admin);
    let mut process = spawn(&folder, &socket, "public", "first.log");
    await_ready(&mut process, admin);
    let shared = Shared::default();
    std::thread::scope(|scope| {
        let shared = &shared;
        for (at, keeps) in [true, true, false, false].into_iter().enumerate() {
            scope.spawn(move || go_on(address, keeps, at, shared));
        }
        for log in ["second.log", "third.log"] {
            let more = |than: usize| {
                within("requests go on", PATIENCE, || match shared.served.load(Ordering::Relaxed) {
                    served if served > than + 50 => Ok(served),
                    served => Err(format!("{served} so far")),
                })
            };
            let before = more(shared.served.load(Ordering::Relaxed));
            let mut next = spawn(&folder, &socket, "public", log);
            within("it waits for the journal", PATIENCE, || {
                let said = next.said();
                if said.contains("waiting until it has ended") { Ok(()) } else { Err(said) }
            });
            more(before);
            process.signal(Signal::TERM);
            assert_eq!(process.wait().code(), Some(0), "{}", process.said());
            await_ready(&mut next, admin);
            process = next;
        }
        shared.stop.store(true, Ordering::Relaxed);
    });
    let paid = shared.paid.into_inner().unwrap();
    assert!(!paid.is_empty());
    within("nothing is open", PATIENCE, || match counter.gateway.open().first() {
        None => Ok(()),
        Some(open) => Err(open.to_string()),
    });
    for participant in [&counter.left, &counter.right] {
        let calls = participant.calls();
        let told = |operation: &str| -> BTreeSet<String> {
            let calls = calls.iter().filter(|call| call.header("unanimo-operation") == Some(operation));
            let amount = |body: &str| Some(body.rsplit_once(':')?.1.trim_end_matches('}').to_owned());
            calls.filter_map(|call| amount(&call.body)).collect()
        };
        assert_eq!(told("rollback"), BTreeSet::new(), "nothing was interrupted");
        let committed = told("commit");
        assert_eq!(committed, paid, "who was told of a commit has one, and nobody else");
    }
}

#[test]
fn an_inherited_socket_that_no_listener_has_stops_the_start() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let counter = Counter::prepare(Choices::default());
    let mut process = spawn(counter.folder.path(), &socket, "nobody", "gateway.log");
    assert_eq!(process.wait().code(), Some(3));
    assert!(
        process.said().contains("nobody would serve the inherited socket `nobody`"),
        "{}",
        process.said()
    );
}
