//! Kills: real processes, real clients, and SIGKILL at any moment. Afterwards nothing is split, doubled, lost, or told
//! untruly, and nothing is in doubt.

mod support;

use support::gateway::Choices;
use support::storm::Fault::{Both, Gateway, GatewayTwice, Participant, PauseGateway, PauseParticipant};
use support::storm::Storm;
use support::{banks, shop};

const CLIENTS: usize = 12;

#[test]
fn two_banks_and_a_notifier_agree_whoever_is_killed() {
    let storm = Storm {
        name: "two_banks_and_a_notifier_agree_whoever_is_killed",
        clients: CLIENTS,
        keyed: 80,
        forgets: false,
        faults: &[
            (Gateway, 9),
            (GatewayTwice, 4),
            (Participant, 7),
            (Both, 3),
            (PauseParticipant, 2),
            (PauseGateway, 1),
        ],
    };
    storm.over(|| banks::start(Choices::default()));
}

/// What nobody has written is rolled back by whoever asks.
#[test]
fn banks_that_ask_agree_whoever_is_killed() {
    let storm = Storm {
        name: "banks_that_ask_agree_whoever_is_killed",
        clients: CLIENTS,
        keyed: 30,
        forgets: false,
        faults: &[(Gateway, 8), (GatewayTwice, 3), (Participant, 4), (Both, 3), (PauseParticipant, 2)],
    };
    storm.over(|| banks::start_asking(Choices::default()));
}

#[test]
fn a_shop_that_tries_and_confirms_agrees_whoever_is_killed() {
    let storm = Storm {
        name: "a_shop_that_tries_and_confirms_agrees_whoever_is_killed",
        clients: CLIENTS,
        keyed: 80,
        forgets: false,
        faults: &[
            (Gateway, 6),
            (GatewayTwice, 2),
            (Participant, 6),
            (Both, 2),
            (PauseParticipant, 2),
            (PauseGateway, 1),
        ],
    };
    storm.over(|| shop::start("tcc", Choices::default()));
}

#[test]
fn a_shop_in_two_phases_agrees_whoever_is_killed() {
    let storm = Storm {
        name: "a_shop_in_two_phases_agrees_whoever_is_killed",
        clients: CLIENTS,
        keyed: 80,
        forgets: false,
        faults: &[(Gateway, 5), (GatewayTwice, 2), (Participant, 4), (Both, 2), (PauseParticipant, 2)],
    };
    storm.over(|| shop::start("two-phase", Choices::default()));
}

/// Nothing is interrupted: whatever has begun goes on where it was.
#[test]
fn a_shop_that_acts_and_compensates_agrees_whoever_is_killed() {
    let storm = Storm {
        name: "a_shop_that_acts_and_compensates_agrees_whoever_is_killed",
        clients: CLIENTS,
        keyed: 80,
        forgets: false,
        faults: &[
            (Gateway, 7),
            (GatewayTwice, 3),
            (Participant, 7),
            (Both, 3),
            (PauseParticipant, 2),
            (PauseGateway, 1),
        ],
    };
    storm.over(|| shop::start("saga", Choices::default()));
}

/// The journal drops its segments as soon as they are full and nothing in them is open, and is killed while it does.
#[test]
fn a_journal_that_forgets_what_has_ended_loses_nothing_that_has_not() {
    let storm = Storm {
        name: "a_journal_that_forgets_what_has_ended_loses_nothing_that_has_not",
        clients: CLIENTS,
        keyed: 0,
        forgets: true,
        faults: &[(Gateway, 8), (GatewayTwice, 2), (Participant, 2), (PauseParticipant, 1)],
    };
    let (journal, more) = ("segment_size: 16KiB", "history: { retention: { transactions: 50 } }");
    storm.over(|| shop::start("tcc", Choices { journal, more }));
}
