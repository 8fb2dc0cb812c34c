//! What operators and the holder of a token may see.

use crate::fixtures::{done, keyed, plan, refused, silence, submission, two_phase};
use crate::shell::{SECOND, Shell};
use unanimo_contract::{Filter, Id, Mode, Page, State};
use unanimo_protocol::Token;

const ALL: Filter = Filter { state: None, stuck: false, after: None, limit: 1000 };

/// Ten transactions: finished ones, and open ones in every state.
fn populated() -> Shell {
    let mut shell = Shell::new();
    for key in 0..10 {
        shell.begin(keyed(&two_phase(), key, 0));
        match key % 5 {
            0 => shell.answer_all(&crate::fixtures::read_only()),
            1 => shell.answer_all(&done()),
            2 => shell.answer(0, refused()),
            _ => {}
        }
        shell.sync();
        shell.calls.clear();
    }
    shell.submit(keyed(&two_phase(), 10, 0));
    shell
}

fn ids(page: &Page) -> Vec<Id> {
    page.transactions.iter().map(|view| view.id).collect()
}

#[test]
fn a_list_is_ordered_and_its_pages_join_without_gap_or_overlap() {
    let shell = populated();
    let all = shell.owner.list(&ALL);
    assert_eq!((all.transactions.len(), all.next), (11, None));
    assert!(all.transactions.is_sorted_by_key(|view| view.id));
    for limit in 1..=12 {
        let (mut joined, mut after) = (Vec::new(), None);
        loop {
            let page = shell.owner.list(&Filter { after, limit, ..ALL });
            assert!(page.transactions.len() <= limit);
            joined.extend(ids(&page));
            after = page.next;
            assert!(after.is_none() || after == joined.last().copied());
            if after.is_none() {
                break;
            }
        }
        assert_eq!(joined, ids(&all));
    }
}

#[test]
fn a_list_can_be_narrowed_to_a_state_and_to_what_is_stuck() {
    let mut shell = populated();
    let of = |shell: &Shell, state| shell.owner.list(&Filter { state: Some(state), ..ALL }).transactions;
    for (state, count) in [
        (State::Initial, 1),
        (State::Preparing, 4),
        (State::Committing, 2),
        (State::Committed, 2),
        (State::Undoing, 2),
        (State::RolledBack, 0),
    ] {
        let found = of(&shell, state);
        assert_eq!(found.len(), count, "{state}");
        assert!(found.iter().all(|view| view.state == state));
        if state != State::Committed && state != State::RolledBack {
            assert_eq!(shell.owner.tally().open.get(&state).copied().unwrap_or(0), count as u64);
        }
    }
    let stuck = Filter { stuck: true, ..ALL };
    assert_eq!(shell.owner.list(&stuck).transactions.len(), 0);
    shell.pass(70 * SECOND);
    shell.sync();
    shell.pass(70 * SECOND);
    let found = shell.owner.list(&stuck).transactions;
    assert!(!found.is_empty() && found.iter().all(|view| view.stuck));
    assert_eq!(shell.owner.tally().stuck, found.len() as u64);
    let page = shell.owner.list(&Filter { limit: 1, ..stuck });
    assert_eq!(page.next, Some(page.transactions[0].id));
}

#[test]
fn a_status_is_for_the_holder_of_the_token_and_not_before_the_beginning_is_durable() {
    let mut shell = Shell::new();
    shell.submit(submission(&two_phase()));
    let id = shell.id();
    assert_eq!(shell.owner.status(id, Token(1000)), None);
    shell.sync();
    assert_eq!(shell.owner.status(id, Token(1001)), None);
    let status = shell.owner.status(id, Token(1000)).unwrap();
    assert!(status.to_json().contains(r#""verdict":-1,"#), "{}", status.to_json());
    assert_eq!(
        (status.state, status.verdict, status.finished, status.answer),
        (State::Preparing, None, false, None)
    );
    assert_eq!(shell.owner.status(Id::from_bits(1), Token(1000)), None);
}

#[test]
fn a_view_shows_each_branch_and_what_it_last_said() {
    let mut shell = Shell::new();
    shell.begin(keyed(&plan(Mode::TwoPhase, 3), 1, 1));
    shell.answer(0, done());
    shell.answer(1, silence());
    let view = shell.owner.view(shell.id()).unwrap();
    assert_eq!((view.route.as_str(), view.mode, view.keyed), ("transfer", Mode::TwoPhase, true));
    let branches: Vec<_> = view
        .branches
        .iter()
        .map(|b| (b.name.as_str(), b.service.as_str(), b.progress, b.attempts, b.last_answer.as_deref()))
        .collect();
    assert_eq!(
        branches,
        [
            ("a", "bank-a", "ready", Some(1), Some("prepare: done (200)")),
            ("b", "bank-b", "asked", Some(1), Some("prepare: no answer")),
            ("c", "bank-c", "asked", Some(1), None),
        ]
    );
    assert_eq!((view.cause, view.answer), (None, None));
    shell.answer(2, refused());
    shell.sync();
    let view = shell.owner.view(shell.id()).unwrap();
    let why = (view.cause.as_deref(), view.branch.as_deref());
    assert_eq!((view.state, why), (State::Undoing, (Some("refused"), Some("c"))));
    shell.answer_all(&done());
    let view = shell.owner.view(shell.id()).unwrap();
    let branches: Vec<_> = view.branches.iter().map(|b| (b.name.as_str(), b.progress, b.attempts)).collect();
    assert_eq!((view.state, view.branch.as_deref()), (State::RolledBack, Some("c")));
    assert_eq!(branches, [("a", "ended", None), ("b", "ended", None), ("c", "ended", None)]);
}

#[test]
fn the_tally_counts_what_happened() {
    let shell = populated();
    let tally = shell.owner.tally();
    assert_eq!(tally.begun[&Mode::TwoPhase], 10);
    assert_eq!(tally.concluded[&(Mode::TwoPhase, "committed")], 4);
    assert_eq!(tally.concluded[&(Mode::TwoPhase, "refused")], 2);
    assert_eq!((tally.finished[&Mode::TwoPhase], tally.remembered), (2, 2));
    assert_eq!((tally.calls as usize, tally.retries), (shell.left.len(), 0));
    let mut twice = tally.clone();
    twice.add(&tally);
    assert_eq!((twice.calls, twice.begun[&Mode::TwoPhase]), (2 * tally.calls, 20));
}
