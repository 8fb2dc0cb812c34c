//! Mail: never before it is confirmed, always after, and countable when it comes twice.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use unanimo_shop::smtp_sink::Sink;
use unanimo_shop::{Seed, Service};
use world::{Running, within_10_s};

fn notification(directory: &Path, smtp: SocketAddr) -> Running {
    Running::start(Service::Notification, directory, Seed::default(), Some(smtp))
}

fn ask(running: &Running, operation: &str, transaction: &str) {
    let body = world::good(Service::Notification);
    let answer = running.client().call(Service::Notification, operation, (transaction, "mail"), &body);
    assert!(answer.is(200, "done"), "{answer:?}");
}

fn sink(directory: &Path) -> Sink {
    Sink::start(TcpListener::bind("127.0.0.1:0").unwrap(), directory.join("mail")).unwrap()
}

#[test]
fn only_what_is_confirmed_is_sent_and_repeats_of_the_call_send_nothing_more() {
    let directory = tempfile::tempdir().unwrap();
    let sink = sink(directory.path());
    let running = notification(directory.path(), sink.address());
    for transaction in ["wish", "cancelled", "first"] {
        ask(&running, "try", transaction);
    }
    ask(&running, "cancel", "cancelled");
    ask(&running, "confirm", "first");
    ask(&running, "confirm", "first");
    within_10_s("first is sent", || running.facts().unsent == 0);
    // The outbox is emptied in the order in which it fills: what follows shows that nothing else went before.
    ask(&running, "try", "last");
    ask(&running, "confirm", "last");
    within_10_s("last is sent", || running.facts().unsent == 0);
    assert_eq!(sink.message_ids(), ["first@shop.example", "last@shop.example"]);
    assert!(running.facts().flaws.is_empty());
}

#[test]
fn mail_waits_for_a_server_that_is_down_and_for_a_service_that_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let running = notification(directory.path(), address);
    ask(&running, "try", "patient");
    ask(&running, "confirm", "patient");
    let database = rusqlite::Connection::open(&running.database).unwrap();
    let attempts = || database.query_row("SELECT attempts FROM messages", [], |row| row.get(0));
    within_10_s("it was tried in vain", || attempts().is_ok_and(|attempts: u32| attempts >= 2));
    assert_eq!(running.facts().unsent, 1);
    drop(running);
    let running = notification(directory.path(), address);
    let sink = Sink::start(TcpListener::bind(address).unwrap(), directory.path().join("mail")).unwrap();
    within_10_s("the mail arrives", || sink.message_ids() == ["patient@shop.example"]);
    within_10_s("and is marked", || running.facts().unsent == 0);
}

#[test]
fn a_transaction_has_one_message() {
    let directory = tempfile::tempdir().unwrap();
    let running = notification(directory.path(), sink(directory.path()).address());
    ask(&running, "try", "t");
    let body = world::good(Service::Notification);
    let second = running.client().call(Service::Notification, "try", ("t", "another"), &body);
    assert!(second.is(422, "refused"), "{second:?}");
}

#[test]
fn what_the_mail_server_refuses_for_good_is_parked_and_shown() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            (&stream.unwrap()).write_all(b"554 nobody here\r\n").unwrap();
        }
    });
    let running = notification(directory.path(), address);
    ask(&running, "try", "t");
    ask(&running, "confirm", "t");
    within_10_s("it is parked", || running.facts().flaws == ["a message is parked"]);
}

/// Says lines to the sink as a client would, and reads one reply after each.
fn say(sink: &Sink, lines: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(sink.address()).unwrap();
    let mut reader = BufReader::new(&stream);
    let mut replies = vec![String::new()];
    reader.read_line(&mut replies[0]).unwrap();
    for line in lines {
        (&stream).write_all(line.as_bytes()).unwrap();
        let mut reply = String::new();
        reader.read_line(&mut reply).unwrap();
        replies.push(reply);
    }
    replies
}

const ENVELOPE: [&str; 4] = ["EHLO me\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n"];

#[test]
fn the_sink_counts_a_message_at_its_final_dot_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let sink = sink(directory.path());
    let stream = TcpStream::connect(sink.address()).unwrap();
    let mut reader = BufReader::new(&stream);
    (&stream).write_all((ENVELOPE.concat() + "Message-ID: <cut@x>\r\n\r\nhalf a").as_bytes()).unwrap();
    for _ in 0..5 {
        reader.read_line(&mut String::new()).unwrap();
    }
    drop(reader);
    drop(stream);
    let whole = "Subject: x\r\nmessage-id: <whole@x>\r\n\r\nMessage-ID: <body@x>\r\n..\r\n.\r\n";
    let replies = say(&sink, &[&ENVELOPE[..], &[whole, "QUIT\r\n"]].concat());
    assert_eq!(replies[5..], ["250 kept\r\n", "221 bye\r\n"]);
    assert_eq!(sink.message_ids(), ["whole@x"]);
}

#[test]
fn the_sink_counts_repeats_and_remembers_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let message = "Message-ID: <m@x>\r\n\r\nhello\r\n.\r\n";
    for _ in 0..2 {
        say(&sink(directory.path()), &[&ENVELOPE[..], &[message]].concat());
    }
    assert_eq!(sink(directory.path()).message_ids(), ["m@x", "m@x"]);
    let nameless =
        say(&sink(directory.path()), &[&ENVELOPE[..], &["\r\nMessage-ID: <body@x>\r\n.\r\n"]].concat());
    assert!(nameless[5].starts_with("554"), "{nameless:?}");
}
