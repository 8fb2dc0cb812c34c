//! What begins a transaction, and what turns a request away before anything has begun.

use crate::fixtures::{keyed, problem, request, submission, two_phase};
use crate::shell::{MILLISECOND, SECOND, Shell, config, header};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;
use unanimo_contract::{Mode, Operation, Request, Severed, Submission};
use unanimo_coordinator::{Config, Unwritten};
use unanimo_protocol::{Record, Time};

#[test]
fn calls_leave_when_the_beginning_is_durable_and_carry_what_was_rendered() {
    let mut shell = Shell::new();
    shell.submit(submission(&two_phase()));
    assert_eq!(shell.under_way(), []);
    shell.pass(300 * MILLISECOND);
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Operation::Prepare), (1, Operation::Prepare)]);
    let call = &shell.calls[1];
    assert_eq!(call.path, "/b/7/prepare");
    assert_eq!(call.headers[..], [("x-tenant".to_owned(), "t1".to_owned())]);
    assert_eq!(call.body, "{\"amount\":10.10}");
    assert_eq!((&*call.name, &*call.service, call.attempt, call.conflicts), ("b", "bank-b", 1, 0));
    assert_eq!(call.remaining, Some(Duration::from_millis(4700)));
    assert_eq!(call.credentials.len(), 1);
}

#[test]
fn beyond_the_limit_of_open_transactions_requests_are_turned_away_until_one_ends() {
    let mut shell = Shell::with(Config { open_limit: 2, ..config() });
    let plan = two_phase();
    shell.begin(submission(&plan));
    shell.begin(keyed(&plan, 1, 1));
    let third = shell.submit(submission(&plan));
    let reply = shell.told(third);
    assert_eq!((reply.answer.status, problem(&reply.answer).as_str()), (503, "overloaded"));
    assert_eq!((reply.transaction, reply.finished), (None, None));
    assert_eq!(header(&reply.answer, "retry-after"), Some("1"));
    assert_eq!(shell.appends.len(), 0);
    // Who comes back for a known answer is no new transaction.
    let again = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(problem(&shell.told(again).answer), "in-progress");
    shell.answer_all(&crate::fixtures::read_only());
    shell.sync();
    assert_eq!(shell.owner.open_len(), 0);
    let fourth = shell.submit(submission(&plan));
    assert!(shell.is_waiting(fourth));
}

#[test]
fn a_value_that_the_request_lacks_is_422_before_anything_is_written() {
    let plan = two_phase();
    let without_header = Request { headers: Vec::new(), ..request(b"{\"amount\":1}") };
    let no_account = Request { parameters: Vec::new(), ..request(b"{\"amount\":1}") };
    let bad_segment =
        Request { parameters: vec![("account".into(), "..".into())], ..request(b"{\"amount\":1}") };
    let bad_header =
        Request { headers: vec![("x-tenant".into(), "a\r\nb: c".into())], ..request(b"{\"amount\":1}") };
    let requests = [
        request(b"{}"),
        request(b"{\"amount\":"),
        request(b""),
        without_header,
        no_account,
        bad_segment,
        bad_header,
    ];
    for request in requests {
        let mut shell = Shell::new();
        let shown = format!("{request:?}");
        // The key stays free: nothing has begun under it.
        for _ in 0..2 {
            let waiter = shell.submit(Submission { request: request.clone(), ..keyed(&plan, 1, 1) });
            let reply = shell.told(waiter);
            assert_eq!(
                (reply.answer.status, problem(&reply.answer).as_str()),
                (422, "unrenderable"),
                "{shown}"
            );
            assert_eq!(reply.transaction, None);
        }
        assert_eq!((shell.disk.decisions.len(), shell.owner.open_len()), (0, 0));
        assert_eq!(shell.owner.tally().turned_away["unrenderable"], 2);
    }
}

#[test]
fn calls_that_are_too_large_are_413_before_anything_is_written() {
    let text = |bytes: usize| Bytes::from(json!({ "amount": "x".repeat(bytes) }).to_string());
    // One call over its limit; and five under it, but together over theirs.
    for (branches, bytes, status) in [(1, 65_000, None), (1, 66_000, Some(413)), (5, 60_000, Some(413))] {
        let mut shell = Shell::new();
        let request = Request { body: text(bytes), ..request(b"") };
        let plan = crate::fixtures::plan(Mode::Tcc, branches);
        let waiter = shell.submit(Submission { request, ..submission(&plan) });
        let told = shell.replies.get(&waiter).map(|reply| reply.as_ref().unwrap().answer.status);
        assert_eq!(told, status);
        assert_eq!(shell.disk.decisions.is_empty(), status.is_some());
        if status.is_some() {
            assert_eq!(problem(&shell.told(waiter).answer), "too-large");
        }
    }
}

#[test]
fn a_full_journal_turns_a_beginning_away_and_frees_its_key() {
    let mut shell = Shell::new();
    let plan = two_phase();
    let waiter = shell.submit(keyed(&plan, 1, 1));
    shell.refuse(Unwritten::Full);
    assert_eq!(problem(&shell.told(waiter).answer), "overloaded");
    assert_eq!(shell.owner.open_len(), 0);
    let again = shell.begin(keyed(&plan, 1, 1));
    assert!(shell.is_waiting(again));
    assert_eq!(shell.calls.len(), 2);
    // The timer of what is gone does not wake anybody.
    shell.answer_all(&crate::fixtures::done());
    shell.sync();
    shell.answer_all(&crate::fixtures::done());
    assert_eq!(shell.owner.wake(), None);
}

#[test]
fn a_deadline_that_comes_before_the_beginning_is_durable_sends_nothing() {
    let mut shell = Shell::new();
    let waiter = shell.submit(submission(&two_phase()));
    shell.pass(6 * SECOND);
    assert!(shell.is_waiting(waiter));
    shell.sync();
    assert_eq!(shell.left.len(), 0);
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, problem(&reply.answer).as_str()), (504, "deadline"));
    assert_eq!(reply.finished, Some(true));
    assert!(matches!(shell.written(shell.id())[..], [Record::Begun(_), Record::Concluded(_), Record::Ended]));
    assert_eq!((shell.owner.open_len(), shell.owner.wake()), (0, None));
}

#[test]
fn a_disk_that_never_answers_severs_the_client() {
    let mut shell = Shell::new();
    let waiter = shell.submit(submission(&two_phase()));
    shell.pass(6999 * MILLISECOND);
    assert!(shell.is_waiting(waiter));
    shell.pass(2 * MILLISECOND);
    assert_eq!(shell.replies[&waiter], Err(Severed));
    // It begins all the same, and its deadline is over.
    shell.sync();
    assert_eq!((shell.left.len(), shell.owner.open_len()), (0, 0));
}

#[test]
fn ids_name_the_node_the_epoch_and_a_shard_of_the_owner() {
    let mut shell = Shell::new();
    let plan = two_phase();
    let mut seen = std::collections::BTreeSet::new();
    for key in 0..20 {
        shell.begin(submission(&plan));
        assert!(seen.insert(shell.id()));
        shell.begin(keyed(&plan, key, 0));
        let id = shell.id();
        assert!(seen.insert(id));
        assert_eq!(id.shard(), unanimo_coordinator::shard_of(&keyed(&plan, key, 0).key.unwrap()));
        assert_eq!((id.node(), id.epoch()), (shell.config.node, shell.config.epoch));
    }
    let shards: std::collections::BTreeSet<_> = seen.iter().map(|id| id.shard()).collect();
    assert!(shards.len() >= 20, "{shards:?}");
}

#[test]
fn nothing_begins_before_replay_has_ended() {
    let mut owner = unanimo_coordinator::Owner::new(config());
    assert!(!owner.is_accepting());
    let now = unanimo_coordinator::Now { time: Time(1), unix_ms: 1 };
    let (entropy, waiter) = (unanimo_coordinator::Entropy::default(), unanimo_coordinator::WaiterId(1));
    owner.submit(now, submission(&two_phase()), entropy, waiter);
    let Some(unanimo_coordinator::Action::Reply { reply, .. }) = owner.poll_action() else {
        panic!("no reply")
    };
    assert_eq!(problem(&reply.unwrap().answer), "not-ready");
    assert!(owner.poll_action().is_none());
}
