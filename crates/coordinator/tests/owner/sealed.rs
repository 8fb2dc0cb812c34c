//! What is secret: sealed wherever it is written, shown to nobody, and there again after a crash.

use crate::fixtures::{done, json_of, keyed, plan, submission};
use crate::shell::{Disk, Shell, config};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use unanimo_contract::plan::CallPlan;
use unanimo_contract::sealing::{self, Keyring};
use unanimo_contract::{Mode, Plan, ResponsePlan, Step, Submission};
use unanimo_coordinator::{Config, Owner, ReplayError};
use unanimo_protocol::{Record, Settled};

const PIN: &str = "4711-0815";
const RECEIPT: &str = "r-1";

fn ring(keys: &[(&str, u8)], current: &str) -> Option<Arc<Keyring>> {
    Keyring::new(keys.iter().map(|(id, byte)| ((*id).to_owned(), [*byte; 32])), current).map(Arc::new)
}

fn with_key() -> Config {
    Config { keyring: ring(&[("k1", 1)], "k1"), ..config() }
}

/// Every place that a template has names a secret, and one beside it that does not.
fn secretive(mode: Mode) -> Plan {
    let mut plan = plan(mode, 2);
    for branch in &mut plan.branches {
        branch.headers.push(("x-pin".to_owned(), "pin ${request.body.pin}".to_owned()));
        branch.body = Some(json!({ "pin": "${request.body.pin}", "amount": "${request.body.amount}" }));
    }
    plan.branches[1].path = "/b/${request.body.pin}".to_owned();
    plan.respond = Some(ResponsePlan {
        status: 201,
        headers: vec![("x-receipt".to_owned(), "${branches.a.response.receipt}".to_owned())],
        body: Some(
            json!({ "pin": "${request.body.pin}", "of": "${transaction.id}", "amount": "${request.body.amount}" }),
        ),
    });
    plan.secret = vec!["request.body.pin".to_owned(), "branches.a.response.receipt".to_owned()];
    plan
}

fn saga() -> Plan {
    let mut plan = secretive(Mode::Saga);
    for branch in &mut plan.branches {
        branch.exact = true;
        branch.step = Step::Compensatable;
        branch.compensate = Some(CallPlan {
            path: "/undo".to_owned(),
            body: Some(json!({ "undo": "${request.body.pin}" })),
            ..CallPlan::default()
        });
    }
    plan.branches[1].body =
        Some(json!({ "receipt": "${branches.a.response.receipt}", "amount": "${request.body.amount}" }));
    plan
}

fn asked(submission: Submission) -> Submission {
    let mut submission = submission;
    submission.request.body = Bytes::from(format!("{{\"amount\":10.10,\"pin\":\"{PIN}\"}}"));
    submission
}

/// Nothing that was written has a secret in it.
fn assert_sealed(disk: &Disk) {
    let written = format!("{:?}", disk.decisions);
    for secret in [PIN, RECEIPT] {
        assert!(!written.contains(secret), "{secret} in {written}");
    }
}

fn assert_masked(shell: &Shell) {
    let detail = shell.owner.detail(shell.id()).unwrap();
    let shown = format!("{detail:?} {:?}", shell.notices);
    for secret in [PIN, RECEIPT] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn two_phases_write_and_show_no_secret_and_send_and_answer_it_all() {
    for mode in [Mode::TwoPhase, Mode::Tcc] {
        let mut shell = Shell::with(with_key());
        let waiter = shell.begin(asked(keyed(&secretive(mode), 1, 1)));
        let sent = shell.calls[1].clone();
        assert!(sent.path.contains(PIN) && std::str::from_utf8(&sent.body).unwrap().contains(PIN));
        let exchanges = shell.owner.detail(shell.id()).unwrap().exchanges;
        let call = exchanges[1].asked.as_ref().unwrap();
        assert_eq!((call.path.as_str(), &call.headers[1].1[..]), ("•••", "•••"));
        assert_eq!(call.headers[0].1, "t1", "what is not secret is shown");
        assert_eq!(&call.body.bytes[..], "{\"amount\":10.10,\"pin\":\"•••\"}".as_bytes());
        shell.answer(0, done());
        let heard = shell.owner.detail(shell.id()).unwrap().exchanges[0].heard.clone().unwrap();
        assert_eq!(&heard.body.unwrap().bytes[..], "{\"receipt\":\"•••\"}".as_bytes());
        assert_masked(&shell);
        shell.answer(1, done());
        shell.sync();
        // The verdict is durable and nobody has heard it: the same bytes leave after a crash.
        let mut shell = shell.crash(0);
        assert_eq!((&shell.calls[1].body, &shell.calls[1].headers), (&sent.body, &sent.headers));
        assert_masked(&shell);
        shell.answer_all(&done());
        shell.sync();
        assert!(!shell.is_waiting(waiter));
        let again = shell.submit(asked(keyed(&secretive(mode), 1, 1)));
        let told = &shell.told(again).answer;
        assert_eq!((json_of(told)["pin"].as_str(), &told.headers[0].1[..]), (Some(PIN), RECEIPT));
        let view = shell.owner.view(shell.id()).unwrap().answer.unwrap();
        assert_eq!((json_of(&view)["pin"].as_str(), &view.headers[0].1[..]), (Some("•••"), "•••"));
        assert_eq!(json_of(&view)["amount"].to_string(), "10.1");
        assert_masked(&shell);
        assert_sealed(&shell.disk);
        // Ended before the start: opened when somebody asks, and sealed in memory until then.
        let mut shell = shell.crash(9);
        let again = shell.submit(asked(keyed(&secretive(mode), 1, 1)));
        assert_eq!(json_of(&shell.told(again).answer)["pin"], PIN);
        assert_masked(&shell);
    }
}

#[test]
fn a_saga_goes_on_with_its_secrets_after_a_crash_and_compensates_with_them() {
    let mut shell = Shell::with(with_key());
    shell.begin(asked(submission(&saga())));
    shell.answer(0, done());
    shell.sync();
    assert_masked(&shell);
    let mut shell = shell.crash(9);
    let later = shell.calls.iter().find(|call| call.branch.0 == 1).unwrap();
    assert!(std::str::from_utf8(&later.body).unwrap().contains(RECEIPT), "{later:?}");
    assert_masked(&shell);
    shell.answer(1, crate::fixtures::refused());
    shell.sync();
    let mut shell = shell.crash(9);
    assert_eq!(&shell.calls[0].body[..], format!("{{\"undo\":\"{PIN}\"}}").as_bytes());
    let exchanges = shell.owner.detail(shell.id()).unwrap().exchanges;
    let undo = exchanges[0].asked.as_ref().unwrap();
    assert_eq!(&undo.body.bytes[..], "{\"undo\":\"•••\"}".as_bytes());
    assert_masked(&shell);
    shell.answer_all(&done());
    shell.sync();
    assert_sealed(&shell.disk);
}

/// A replay of this disk under these keys, up to its end.
fn replayed(disk: &Disk, keyring: Option<Arc<Keyring>>) -> Result<Owner, ReplayError> {
    let mut owner = Owner::new(Config { keyring, ..config() });
    for (digest, stored) in &disk.plans {
        owner.replay_plan(*digest, stored.clone()).unwrap();
    }
    for decision in &disk.decisions {
        for record in &decision.records {
            owner.replay(decision.id, Settled::journaled(record.clone()), decision.batch)?;
        }
    }
    owner.recovered(unanimo_coordinator::Now::default()).map(|()| owner)
}

#[test]
fn a_start_without_the_key_or_with_another_or_over_changed_bytes_is_refused_by_name() {
    let mut shell = Shell::with(with_key());
    shell.begin(asked(submission(&secretive(Mode::TwoPhase))));
    let (id, mut disk) = (shell.id(), shell.disk.clone());
    assert!(replayed(&disk, ring(&[("k1", 1), ("k2", 2)], "k2")).is_ok(), "any known key opens");
    for (keyring, why) in [
        (None, "sealed with key `k1`, which `journal.sealing.keys` does not name"),
        (ring(&[("k2", 2)], "k2"), "sealed with key `k1`"),
        (ring(&[("k1", 9)], "k1"), "does not open with key `k1`"),
    ] {
        let refused = replayed(&disk, keyring).unwrap_err().to_string();
        assert!(refused.contains(&id.to_string()) && refused.contains(why), "{refused}");
        assert!(refused.contains("the calls of its beginning"), "{refused}");
    }
    let Record::Begun(begun) = &mut disk.decisions[0].records[0] else { unreachable!() };
    let sealed = begun.calls.clone();
    let mut changed = sealed.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    begun.calls = Bytes::from(changed);
    let refused = replayed(&disk, ring(&[("k1", 1)], "k1")).unwrap_err().to_string();
    assert!(refused.contains("the bytes were changed"), "{refused}");
    let Record::Begun(begun) = &mut disk.decisions[0].records[0] else { unreachable!() };
    begun.calls = Bytes::from_static(b"\x01\x00");
    let refused = replayed(&disk, ring(&[("k1", 1)], "k1")).unwrap_err().to_string();
    assert!(refused.contains("stands in clear"), "{refused}");
}

#[test]
fn what_has_ended_needs_no_key_to_start_and_says_which_one_its_answer_needs() {
    let mut shell = Shell::with(with_key());
    shell.begin(asked(keyed(&secretive(Mode::TwoPhase), 1, 1)));
    shell.answer_all(&done());
    shell.sync();
    shell.answer_all(&done());
    shell.sync();
    let owner = replayed(&shell.disk, None).unwrap();
    let answer = owner.view(shell.id()).unwrap().answer.unwrap();
    assert_eq!(answer.status, 500);
    let detail = json_of(&answer)["detail"].to_string();
    assert!(detail.contains("sealed with key `k1`"), "{detail}");
}

#[test]
fn nothing_begins_that_has_secrets_while_there_is_no_key() {
    let mut shell = Shell::new();
    let waiter = shell.submit(asked(submission(&secretive(Mode::TwoPhase))));
    assert_eq!(shell.told(waiter).answer.status, 500);
    assert!(shell.disk.decisions.is_empty());
}

#[test]
fn a_rotated_key_seals_what_comes_and_what_was_sealed_before_still_opens() {
    let mut shell = Shell::with(with_key());
    let plan = secretive(Mode::TwoPhase);
    shell.begin(asked(submission(&plan)));
    let rotated = ring(&[("k1", 1), ("k2", 2)], "k2");
    let change = unanimo_coordinator::Change {
        open_limit: 100,
        retry: config().retry,
        plans: unanimo_coordinator::Plans::default(),
        keyring: rotated.clone(),
    };
    shell.owner.change(change);
    shell.config.keyring = rotated;
    shell.answer_all(&done());
    shell.sync();
    let keys: Vec<_> = shell.disk.decisions.iter().flat_map(|decision| &decision.records).collect();
    let key = |record: &&Record| match record {
        Record::Begun(begun) => sealing::key_of(&begun.calls),
        Record::Concluded(concluded) => sealing::key_of(&concluded.answer),
        _ => None,
    };
    assert_eq!(keys.iter().filter_map(key).collect::<Vec<_>>(), ["k1", "k2"]);
    let mut shell = shell.crash(0);
    shell.answer_all(&done());
    shell.sync();
    assert_sealed(&shell.disk);
}
