//! Participants that ask: what is not written, what they hear, and what a client may be promised.

use crate::fixtures::{done, keyed, plan, read_only, refused, silence, submission, two_phase};
use crate::shell::{SECOND, Shell, config, header};
use unanimo_contract::{AnswerAt, Id, Inquiry, Mode, Node, Operation, Plan, Shard, Submission, Verdict};
use unanimo_coordinator::{Config, Owner, Unwritten};
use unanimo_protocol::{Epoch, Record};

fn asking(mode: Mode) -> Plan {
    let mut plan = plan(mode, 2);
    plan.branches.iter_mut().for_each(|branch| branch.asks = true);
    plan
}

fn shell() -> Shell {
    let mut shell = Shell::new();
    shell.asking = true;
    shell
}

fn id_of(shell: &Shell) -> Id {
    shell.left[0].1.transaction
}

const COMMIT: Inquiry = Inquiry::Known(Verdict::Commit);
const ROLLBACK: Inquiry = Inquiry::Known(Verdict::Rollback);

#[test]
fn calls_leave_at_once_and_a_commit_writes_everything_in_one_piece() {
    let mut shell = shell();
    let waiter = shell.submit(submission(&asking(Mode::TwoPhase)));
    assert_eq!(shell.under_way(), [(0, Operation::Prepare), (1, Operation::Prepare)]);
    assert!(shell.calls.iter().all(|call| call.asks));
    shell.answer_all(&done());
    assert_eq!(shell.disk.decisions.len(), 1);
    assert!(matches!(shell.disk.decisions[0].records[..], [Record::Begun(_), Record::Concluded(_)]));
    assert_eq!(shell.owner.inquire(id_of(&shell)), Inquiry::Pending, "the disk does not have it yet");
    shell.sync();
    assert_eq!(shell.owner.inquire(id_of(&shell)), COMMIT);
    assert!(shell.calls.iter().all(|call| !call.asks), "whoever is told need not ask");
    shell.answer_all(&done());
    assert_eq!(shell.told(waiter).answer.status, 200);
    assert_eq!(shell.owner.inquire(id_of(&shell)), COMMIT, "it is remembered as any other");
}

#[test]
fn a_commit_is_carried_out_after_a_crash() {
    let mut shell = shell();
    shell.submit(submission(&asking(Mode::TwoPhase)));
    shell.answer_all(&done());
    let mut shell = shell.crash(1);
    assert_eq!(shell.under_way(), [(0, Operation::Commit), (1, Operation::Commit)]);
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn what_a_crash_has_forgotten_was_rolled_back() {
    let mut shell = shell();
    shell.submit(submission(&asking(Mode::TwoPhase)));
    let id = id_of(&shell);
    shell.answer(0, done());
    assert_eq!(shell.owner.inquire(id), Inquiry::Pending, "votes are being collected");
    let shell = shell.crash(0);
    assert_eq!(shell.owner.inquire(id), ROLLBACK);
    assert_eq!(shell.calls.len(), 0);
}

#[test]
fn a_rollback_writes_nothing_and_is_forgotten_with_its_last_acknowledgement() {
    let mut shell = shell();
    let waiter = shell.submit(submission(&asking(Mode::TwoPhase)));
    shell.answer(0, done());
    shell.answer(1, refused());
    assert_eq!(shell.told(waiter).answer.status, 409);
    assert_eq!(shell.under_way(), [(0, Operation::Rollback)]);
    assert_eq!(shell.owner.inquire(id_of(&shell)), ROLLBACK);
    shell.answer(0, silence());
    shell.pass(SECOND);
    shell.answer(0, done());
    assert_eq!((shell.owner.open_len(), shell.disk.decisions.len()), (0, 0));
    assert_eq!(shell.owner.inquire(id_of(&shell)), ROLLBACK);
}

#[test]
fn a_branch_that_has_acknowledged_what_is_not_written_counts_no_more() {
    let mut shell = Shell::with(Config { open_limit: 2, ..config() });
    shell.asking = true;
    for _ in 0..4 {
        let waiter = shell.submit(submission(&asking(Mode::TwoPhase)));
        shell.answer(0, done());
        shell.answer(1, refused());
        assert_eq!(shell.told(waiter).answer.status, 409);
        shell.answer(0, done());
        assert_eq!(shell.owner.open_len(), 0);
    }
}

#[test]
fn who_only_read_commits_without_a_word_on_disk() {
    let mut shell = shell();
    let waiter = shell.submit(submission(&asking(Mode::TwoPhase)));
    shell.answer_all(&read_only());
    assert_eq!(shell.told(waiter).answer.status, 200);
    assert_eq!((shell.owner.open_len(), shell.disk.decisions.len()), (0, 0));
}

#[test]
fn before_replay_has_ended_and_after_the_journal_has_failed_nobody_presumes() {
    let unknown = Id::new(Node(7), Shard(3), Epoch(1), 9, 9);
    assert_eq!(Owner::new(config()).inquire(unknown), Inquiry::Pending);
    let mut shell = shell();
    assert_eq!(shell.owner.inquire(unknown), ROLLBACK);
    shell.owner.poison();
    assert_eq!(shell.owner.inquire(unknown), Inquiry::Pending);
}

#[test]
fn a_key_another_mode_or_one_who_does_not_ask_makes_the_beginning_durable_first() {
    let mut half = asking(Mode::TwoPhase);
    half.branches[1].asks = false;
    let with_key = keyed(&asking(Mode::TwoPhase), 1, 1);
    for submitted in [submission(&two_phase()), submission(&half), submission(&asking(Mode::Tcc)), with_key] {
        let mut shell = Shell::new();
        shell.submit(submitted);
        assert_eq!(shell.calls.len(), 0);
        shell.sync();
        assert_eq!(shell.calls.len(), 2);
    }
}

#[test]
fn an_address_is_only_promised_once_the_beginning_is_durable() {
    // A client that does not want to wait, one that has waited long enough, and a gateway that leaves.
    let prefers = Submission { respond_async: true, ..submission(&asking(Mode::TwoPhase)) };
    let hasty = Plan { answer_timeout_ms: 1000, ..asking(Mode::TwoPhase) };
    for (at, submitted) in [prefers, submission(&hasty), submission(&hasty)].into_iter().enumerate() {
        let mut shell = shell();
        let waiter = shell.submit(submitted);
        match at {
            0 => {}
            1 => shell.pass(SECOND),
            _ => {
                shell.owner.leave(shell.at());
                shell.carry_out();
            }
        }
        assert!(shell.is_waiting(waiter));
        assert!(matches!(shell.disk.decisions[0].records[..], [Record::Begun(_)]));
        shell.pass(SECOND);
        shell.sync();
        let told = shell.told(waiter).clone();
        assert_eq!(told.answer.status, 202);
        assert!(header(&told.answer, "location").is_some());
        let shell = shell.crash(0);
        assert!(shell.owner.view(told.transaction.unwrap()).is_some(), "it is known after a crash");
    }
}

#[test]
fn a_promise_for_which_there_is_no_room_severs_the_client_and_nothing_else() {
    let mut shell = shell();
    let waiter = shell.submit(Submission { respond_async: true, ..submission(&asking(Mode::TwoPhase)) });
    shell.refuse(Unwritten::Full);
    assert!(shell.replies[&waiter].is_err());
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Operation::Prepare), (1, Operation::Prepare)]);
    shell.answer_all(&done());
    shell.sync();
    shell.answer_all(&done());
    assert_eq!(shell.owner.inquire(id_of(&shell)), COMMIT);
}

#[test]
fn a_journal_that_fails_leaves_nobody_with_a_promise() {
    let mut shell = shell();
    let waiter = shell.submit(submission(&asking(Mode::TwoPhase)));
    shell.answer_all(&done());
    shell.owner.poison();
    shell.carry_out();
    assert!(shell.replies[&waiter].is_err());
}

#[test]
fn a_client_may_be_answered_at_the_verdict() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&Plan { answer_at: AnswerAt::Verdict, ..two_phase() }));
    shell.answer_all(&done());
    assert!(shell.is_waiting(waiter), "the verdict is not durable yet");
    shell.sync();
    let told = shell.told(waiter);
    assert_eq!((told.answer.status, told.finished), (200, Some(false)));
    assert_eq!(shell.under_way(), [(0, Operation::Commit), (1, Operation::Commit)]);
}

#[test]
fn a_commit_that_no_segment_can_hold_rolls_back_and_says_so() {
    for respond_async in [false, true] {
        let mut shell = shell();
        let waiter = shell.submit(Submission { respond_async, ..submission(&asking(Mode::TwoPhase)) });
        if !respond_async {
            shell.answer_all(&done());
        }
        shell.refuse(Unwritten::TooLarge);
        assert_eq!(shell.told(waiter).answer.status, 413);
        shell.answer_all(&done());
        assert_eq!(shell.owner.open_len(), 0);
    }
}
