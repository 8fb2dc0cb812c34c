//! Another configuration while transactions are open.

use crate::fixtures::{done, plan, problem, submission, two_phase};
use crate::shell::Shell;
use std::sync::Arc;
use unanimo_contract::Mode;
use unanimo_coordinator::{Change, Plans, Retry};

fn change(open_limit: usize, plans: Plans) -> Change {
    Change { open_limit, retry: Retry::default(), plans, keyring: None }
}

#[test]
fn what_was_begun_ends_under_its_plan_though_no_route_has_it_any_more() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    let mut other = plan(Mode::TwoPhase, 3);
    other.branches.iter_mut().for_each(|branch| branch.path = "/elsewhere".to_owned());
    shell.owner.change(change(100, Plans::of([&Arc::new(other.clone())]).unwrap()));
    shell.answer_all(&done());
    shell.sync();
    let paths: Vec<_> = shell.calls.iter().map(|call| call.path.to_string()).collect();
    assert_eq!(paths, ["/a/7/commit", "/b/7/commit"]);
    shell.answer_all(&done());
    assert_eq!(shell.told(waiter).answer.status, 200);
    shell.begin(submission(&other));
    let paths: Vec<_> = shell.calls.iter().map(|call| call.path.to_string()).collect();
    assert_eq!(paths, ["/elsewhere/prepare"; 3]);
}

#[test]
fn a_request_that_came_by_a_former_route_is_begun_all_the_same() {
    let mut shell = Shell::new();
    shell.owner.change(change(100, Plans::default()));
    shell.begin(submission(&two_phase()));
    assert_eq!(shell.calls.len(), 2);
}

#[test]
fn a_service_is_named_until_the_last_transaction_that_needs_it_has_ended() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.begin(submission(&plan(Mode::Tcc, 1)));
    let named = |shell: &Shell| {
        let services = shell.owner.services();
        services.iter().map(|(service, open)| format!("{service}: {open}")).collect::<Vec<_>>()
    };
    assert_eq!(named(&shell), ["bank-a: 2", "bank-b: 1"]);
    shell.answer_all(&done());
    shell.sync();
    // Decided, and not told.
    assert_eq!(named(&shell), ["bank-a: 2", "bank-b: 1"]);
    shell.answer_all(&done());
    shell.sync();
    assert_eq!(named(&shell), [""; 0]);
}

#[test]
fn a_smaller_bound_holds_for_what_comes_next() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.owner.change(change(1, Plans::default()));
    let refused = shell.submit(submission(&two_phase()));
    assert_eq!(problem(&shell.told(refused).answer), "overloaded");
}
