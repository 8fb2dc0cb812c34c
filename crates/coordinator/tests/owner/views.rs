//! What operators and the holder of a token may see.

use crate::fixtures::{done, keyed, plan, refused, silence, submission, two_phase};
use crate::shell::{SECOND, Shell};
use std::time::Duration;
use unanimo_contract::operations::{Flag, Flags};
use unanimo_contract::{Filter, Id, Listed, Mode, Page, State, Verdict, View};
use unanimo_protocol::Token;

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

fn ids(views: &[View]) -> Vec<Id> {
    views.iter().map(|view| view.id).collect()
}

fn list(shell: &Shell, filter: Filter) -> Vec<View> {
    shell.owner.list(&filter, &Page::FIRST)
}

#[test]
fn a_list_begins_with_the_newest_and_its_pages_join_without_gap_or_overlap() {
    let mut shell = populated();
    let all = list(&shell, Filter::default());
    assert_eq!(all.len(), 11);
    assert!(all.is_sorted_by_key(|view| std::cmp::Reverse(view.place())));
    for limit in 1..=12 {
        let (mut joined, mut after) = (Vec::new(), None);
        loop {
            let part = shell.owner.list(&Filter::default(), &Page { limit, after });
            assert!(part.len() <= limit + 1);
            let page = Listed::merged([part], limit);
            joined.extend(ids(&page.items));
            after = page.next;
            // What begins meanwhile moves no page.
            shell.pass(Duration::from_millis(5));
            if joined.len() < 3 {
                shell.submit(submission(&two_phase()));
            }
            if after.is_none() {
                break;
            }
        }
        let known = ids(&all);
        joined.retain(|id| known.contains(id));
        assert_eq!(joined, known);
    }
}

#[test]
fn a_list_can_be_narrowed_by_every_member_of_a_filter() {
    let mut shell = populated();
    for (state, count) in [
        (State::Initial, 1),
        (State::Preparing, 4),
        (State::Committing, 2),
        (State::Committed, 2),
        (State::Undoing, 2),
        (State::RolledBack, 0),
    ] {
        let found = list(&shell, Filter { states: vec![state], ..Filter::default() });
        assert_eq!(found.len(), count, "{state}");
        assert!(found.iter().all(|view| view.state == state));
        if !state.is_finished() {
            assert_eq!(shell.owner.tally().open.get(&state).copied().unwrap_or(0), count as u64);
        }
    }
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..Filter::default() };
    let id = list(&shell, Filter::default())[3].id.to_string();
    for (filter, count) in [
        (Filter { verdict: Some(None), ..Filter::default() }, 5),
        (Filter { verdict: Some(Some(Verdict::Commit)), ..Filter::default() }, 4),
        (Filter { mode: Some(Mode::Tcc), ..Filter::default() }, 0),
        (Filter { route: Some("transfer".to_owned()), ..Filter::default() }, 11),
        (Filter { route: Some("transf".to_owned()), ..Filter::default() }, 0),
        (Filter { service: Some("bank-b".to_owned()), ..Filter::default() }, 11),
        (Filter { service: Some("bank-x".to_owned()), ..Filter::default() }, 0),
        (Filter { key: list(&shell, Filter::default())[0].key, ..Filter::default() }, 1),
        (Filter { began_from_unix_ms: Some(u64::MAX), ..Filter::default() }, 0),
        (Filter { began_before_unix_ms: Some(u64::MAX), ..Filter::default() }, 11),
        (text("NSFE"), 11),
        (text("Bank-A"), 11),
        (text(&id.to_uppercase()), 1),
        (text("nowhere"), 0),
        (Filter { flags: Flags::NONE.with(Flag::Stuck, true), ..Filter::default() }, 0),
    ] {
        let found = list(&shell, filter.clone());
        assert_eq!(found.len(), count, "{filter:?}");
        assert!(found.iter().all(|view| view.is_taken_by(&filter)));
    }
    shell.pass(70 * SECOND);
    shell.sync();
    shell.pass(70 * SECOND);
    let found = list(&shell, Filter { flags: Flags::NONE.with(Flag::Stuck, true), ..Filter::default() });
    assert!(!found.is_empty() && found.iter().all(|view| view.is(Flag::Stuck) && view.is(Flag::InDoubt)));
    assert_eq!(shell.owner.tally().stuck, found.len() as u64);
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
    assert_eq!((view.route.as_str(), view.mode, view.key.is_some()), ("transfer", Mode::TwoPhase, true));
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
