//! The state table of each mode, printed from the code: every reachable state of two branches, every event.
//!
//! A row speaks of one branch and of the rest. What makes no difference is folded into one row; an event that is
//! in no row of its state is answered with no record at all.

use crate::print::{Cell, cell, fold, lines};
use crate::support::{
    A, B, BALLOTS, Bench, Plain, asking, compensatable, concluded, naming, outline, pivot, retriable, saga,
    side_by_side, unfenced,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use unanimo_protocol::{
    BranchIndex, BranchSet, Cause, Event, Mode, Operation, Outcome, Outline, Progress, Record, Render,
    Resolution, State, Verdict,
};

#[test]
fn two_phase() {
    insta::assert_snapshot!(Table::of(side_by_side(Mode::TwoPhase, 2), false).text());
}

#[test]
fn tcc() {
    insta::assert_snapshot!(Table::of(side_by_side(Mode::Tcc, 2), false).text());
}

#[test]
fn a_second_wave_waits_for_the_first_and_is_rendered_once() {
    insta::assert_snapshot!(Table::of(naming(Mode::TwoPhase, &[&[], &[0]]), false).text());
}

#[test]
fn whoever_asks_lets_the_beginning_go_unwritten() {
    insta::assert_snapshot!(Table::of(asking(&[&[], &[]]), false).text());
}

#[test]
fn saga_of_two_that_can_be_compensated() {
    insta::assert_snapshot!(Table::of(saga(&[compensatable(&[]), compensatable(&[0])]), false).text());
}

#[test]
fn saga_with_a_pivot() {
    insta::assert_snapshot!(Table::of(saga(&[compensatable(&[]), pivot(&[0])]), false).text());
}

#[test]
fn saga_with_a_retriable_step() {
    insta::assert_snapshot!(Table::of(saga(&[compensatable(&[]), retriable(&[])]), false).text());
}

#[test]
fn saga_with_an_unfenced_step() {
    insta::assert_snapshot!(Table::of(saga(&[unfenced(&[]), compensatable(&[])]), false).text());
}

#[test]
fn order_holds_calls_back_and_changes_nothing_else() {
    for mode in BALLOTS {
        let free = Table::of(side_by_side(mode, 2), false);
        let ordered = Table::of(outline(mode, &[&[], &[0]]), false);
        assert_eq!(ordered.rows.iter().find(|(key, result)| free.rows.get(key) != Some(result)), None);
    }
    let second = Table::of(outline(Mode::TwoPhase, &[&[], &[0]]), false).what_is_due(B);
    insta::assert_snapshot!(second);
}

#[test]
fn a_key_makes_the_rollback_forced_and_changes_nothing_else() {
    for mode in BALLOTS {
        let mut keyed = Table::of(side_by_side(mode, 2), true);
        let free = Table::of(side_by_side(mode, 2), false);
        assert_ne!(keyed.rows, free.rows);
        for (records, _) in keyed.rows.values_mut() {
            *records = records.replace("rollback (forced)", "rollback (lazy)");
        }
        assert_eq!(keyed.rows, free.rows);
    }
}

/// Where a branch stands, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stand {
    Idle,
    Asked,
    AskedAgain,
    Unsure,
    Ready,
    ReadOnly,
    Overtaken,
    Untold,
    Telling,
    Told,
    Heuristic,
    SignedOff,
    Spared,
    Held,
}

impl Stand {
    const ALL: [Stand; 14] = [
        Stand::Idle,
        Stand::Asked,
        Stand::AskedAgain,
        Stand::Unsure,
        Stand::Ready,
        Stand::ReadOnly,
        Stand::Overtaken,
        Stand::Untold,
        Stand::Telling,
        Stand::Told,
        Stand::Heuristic,
        Stand::SignedOff,
        Stand::Spared,
        Stand::Held,
    ];

    fn of(bench: &Bench, branch: BranchIndex) -> Stand {
        let in_flight = bench.in_flight(branch);
        let told = |verdict| bench.core.outline().mode().telling(verdict);
        let untold = bench.core.untold().any(|untold| untold == branch);
        let owed = bench.core.due().any(|call| call.branch == branch);
        match (bench.core.progress(branch).unwrap(), bench.core.verdict()) {
            (Progress::Told, _) => Stand::Told,
            (Progress::Heuristic, _) => Stand::Heuristic,
            (Progress::SignedOff, _) => Stand::SignedOff,
            (_, Some(_)) if !untold => Stand::Spared,
            (_, Some(verdict)) => match in_flight {
                Some((operation, _)) if operation == told(verdict) => Stand::Telling,
                Some(_) => Stand::Overtaken,
                None if owed => Stand::Untold,
                None => Stand::Held,
            },
            (Progress::Idle, None) => Stand::Idle,
            (Progress::Ready, None) => Stand::Ready,
            (Progress::ReadOnly, None) => Stand::ReadOnly,
            (Progress::Asked, None) => match in_flight {
                Some((_, 1)) => Stand::Asked,
                Some(_) => Stand::AskedAgain,
                None => Stand::Unsure,
            },
            (Progress::Refused { .. }, None) => panic!("a refusal without a verdict"),
        }
    }

    /// As seen from another branch, to which it makes no difference whether a call to this one is under way.
    fn seen_from_afar(self) -> Stand {
        match self {
            Stand::AskedAgain | Stand::Unsure => Stand::Asked,
            Stand::Overtaken | Stand::Telling | Stand::Held => Stand::Untold,
            near => near,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Stand::Idle => "idle",
            Stand::Asked => "asked",
            Stand::AskedAgain => "asked again",
            Stand::Unsure => "unsure",
            Stand::Ready => "ready",
            Stand::ReadOnly => "read-only",
            Stand::Overtaken => "overtaken",
            Stand::Untold => "untold",
            Stand::Telling => "telling",
            Stand::Told => "told",
            Stand::Heuristic => "heuristic",
            Stand::SignedOff => "signed off",
            Stand::Spared => "spared",
            Stand::Held => "held back",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Stand::Idle => "nothing was ever sent to it",
            Stand::Asked => "the first attempt is under way",
            Stand::AskedAgain => "a later attempt is under way",
            Stand::Unsure => "asked, no vote, and nothing is under way",
            Stand::Ready => "voted yes",
            Stand::ReadOnly => "voted yes, with nothing to commit or undo",
            Stand::Overtaken => "to be told, and the call that asks for its vote is still under way",
            Stand::Untold => "to be told, and nothing is under way",
            Stand::Telling => "the verdict is under way to it",
            Stand::Told => "acknowledged the verdict",
            Stand::Heuristic => "ended against the verdict",
            Stand::SignedOff => "ended against the verdict, and a person has signed that off",
            Stand::Spared => "need not be told",
            Stand::Held => "to be told, when others have heard or answered",
        }
    }

    fn cell(self) -> Cell {
        cell(self as usize, self.word())
    }
}

/// State and whether it is in the journal, where the branch stands, what happens (with its place in the order of rows), where the rest stands.
type Key = (Place, Stand, (usize, String), Stand);

/// A state, and whether a crash would forget it.
type Place = (State, bool);

struct Table {
    /// Whether its branches are not alike, so that each has rows of its own, and what one does makes a difference to the
    /// other.
    apart: bool,
    /// The records that follow, and the state after them, for each branch; for the first one where they are alike.
    rows: BTreeMap<(BranchIndex, Key), (String, String)>,
    due: BTreeMap<(BranchIndex, Place, Stand, Stand), Option<Operation>>,
}

impl Table {
    /// Walks through every state that can be reached, attempts beyond the third taken as the third.
    fn of(outline: Arc<Outline>, keyed: bool) -> Table {
        let apart = outline.mode() == Mode::Saga;
        let mut table = Table { apart, rows: BTreeMap::new(), due: BTreeMap::new() };
        let mut reached = BTreeSet::new();
        let fresh = Bench::new(outline.clone(), keyed);
        let mut waiting = vec![fresh, Bench::replayed(outline, keyed, Vec::new())];
        while let Some(bench) = waiting.pop() {
            if !reached.insert(fingerprint(&bench)) {
                continue;
            }
            table.note_due(&bench);
            for event in every_event() {
                let records = bench.decide(event);
                if !records.is_empty() {
                    let mut next = bench.clone();
                    next.settle(records.clone());
                    table.note_row(&bench, event, &records, &next);
                    waiting.push(next);
                }
            }
        }
        table
    }

    fn note_due(&mut self, bench: &Bench) {
        for (this, rest) in [(A, B), (B, A)] {
            let due = bench.core.due().find(|call| call.branch == this).map(|call| call.operation);
            let rest = self.seen_from_afar(Stand::of(bench, rest));
            let key = (this, place(bench), Stand::of(bench, this), rest);
            let known = self.due.entry(key).or_insert(due);
            assert_eq!(*known, due, "{key:?}: these words do not tell what is due");
        }
    }

    fn note_row(&mut self, bench: &Bench, event: Event, records: &[Record], next: &Bench) {
        let told = branch_of(event);
        for (this, rest) in
            [(A, B), (B, A)].into_iter().filter(|(this, _)| told.is_none_or(|told| told == *this))
        {
            check_the_rest(bench, rest, event, records, next);
            let words = records.iter().map(|record| record_word(record, event, this));
            let then = format!("{}: {}", place_word(place(next)), Stand::of(next, this).word());
            let result = (words.collect::<Vec<_>>().join(", "), then);
            let stands = (Stand::of(bench, this), self.seen_from_afar(Stand::of(bench, rest)));
            let whose = if self.apart { this } else { A };
            let key = (whose, (place(bench), stands.0, event_word(event), stands.1));
            let known = self.rows.entry(key.clone()).or_insert_with(|| result.clone());
            assert_eq!(*known, result, "{key:?}: these words do not tell what follows");
        }
    }

    fn seen_from_afar(&self, stand: Stand) -> Stand {
        if self.apart { stand } else { stand.seen_from_afar() }
    }

    fn text(&self) -> String {
        let held = self.due.keys().any(|(_, _, this, _)| *this == Stand::Held);
        let legend = Stand::ALL.iter().filter(|stand| held || **stand != Stand::Held);
        let legend: Vec<String> =
            legend.map(|stand| format!("{:<11}  {}", stand.word(), stand.meaning())).collect();
        let of = |branch| [self.what_follows(branch), self.what_is_due(branch)].join("\n");
        let second = self.apart.then(|| ["The second branch.\n".to_owned(), of(B)].join("\n"));
        [of(A)].into_iter().chain(second).chain([legend.join("\n")]).collect::<Vec<_>>().join("\n")
    }

    /// Every row of a branch in which a record follows.
    fn what_follows(&self, branch: BranchIndex) -> String {
        let rows = self.rows.iter().filter(|((whose, _), _)| *whose == branch);
        let row = |((_, key), (records, next)): (&(BranchIndex, Key), &(String, String))| {
            let (at, this, (place, event), rest) = key;
            [place_cell(*at), this.cell(), rest.cell(), cell(*place, event), cell(0, records), cell(0, next)]
        };
        let mut rows: Vec<[Cell; 6]> = rows.map(row).collect();
        for column in [3, 2, 1] {
            rows = fold(rows, column);
        }
        lines(["state", "the branch", "the rest", "what happens", "records", "next"], rows)
    }

    /// What the branch is due.
    fn what_is_due(&self, branch: BranchIndex) -> String {
        let rows = self.due.iter().filter_map(|((at, place, this, rest), due)| {
            let due = due.map_or("nothing", Operation::as_str);
            (*at == branch).then(|| [place_cell(*place), this.cell(), rest.cell(), cell(0, due)])
        });
        let mut rows: Vec<[Cell; 4]> = rows.collect();
        for column in [2, 1] {
            rows = fold(rows, column);
        }
        lines(["state", "the branch", "the rest", "due"], rows)
    }
}

/// The rest changes by a verdict alone: then it is untold, or spared. A wave after a replay may have left before.
fn check_the_rest(bench: &Bench, rest: BranchIndex, event: Event, records: &[Record], next: &Bench) {
    let (before, after) = (Stand::of(bench, rest), Stand::of(next, rest));
    let wave = records.iter().any(|record| matches!(record, Record::Wave(_)));
    match concluded(records) {
        None if wave && before == Stand::Idle => assert!(matches!(after, Stand::Idle | Stand::Unsure)),
        // What cannot be written where there is no way back is asked for again.
        None if event == Event::Unwritable => assert!(after == before || after == Stand::Unsure),
        None if before == Stand::Held => assert!(matches!(after, Stand::Held | Stand::Untold)),
        None => assert_eq!(before, after),
        Some(concluded) if concluded.tell.contains(rest) => assert_eq!(after.seen_from_afar(), Stand::Untold),
        Some(_) => assert_eq!(after, Stand::Spared),
    }
}

fn place(bench: &Bench) -> Place {
    (bench.core.state(), bench.core.has_begun() && !bench.core.is_written())
}

fn place_word((state, forgettable): Place) -> String {
    if forgettable { format!("{state}, unwritten") } else { state.to_string() }
}

fn place_cell(place: Place) -> Cell {
    cell(2 * place.0 as usize + usize::from(place.1), &place_word(place))
}

fn fingerprint(bench: &Bench) -> String {
    let quarantine = if bench.core.is_quarantined() { "quarantined " } else { "" };
    let core = &bench.core;
    let branch = |branch| {
        let due = core.due().find(|call| call.branch == branch).map(|call| call.attempt.min(3));
        let in_flight = bench.in_flight(branch).map(|(operation, attempt)| (operation, attempt.min(3)));
        format!("{:?} {due:?} {in_flight:?}", core.progress(branch))
    };
    format!("{quarantine}{} {} {} {}", place_word(place(bench)), core.waves(), branch(A), branch(B))
}

/// Everything that can be said to a transaction, whether it makes sense or not.
fn every_event() -> Vec<Event> {
    let mut events = vec![Event::Submitted];
    for branch in [A, B, BranchIndex(2), BranchIndex(31), BranchIndex(255)] {
        for operation in Operation::ALL {
            events.push(Event::Sending { branch, operation });
            for outcome in Outcome::ALL {
                let answer = |attempt| Event::Answered { branch, operation, attempt, outcome };
                events.extend((0..=4).map(answer));
            }
        }
    }
    for branch in [A, B, BranchIndex(2), BranchIndex(255)] {
        let of_one = [Resolution::SignOff(branch), Resolution::Told(branch)];
        events.extend(of_one.map(Event::Resolving));
    }
    let of_all =
        [Resolution::Choose(Verdict::Commit), Resolution::Choose(Verdict::Rollback), Resolution::Release];
    events.extend(of_all.map(Event::Resolving));
    events.extend([Event::Promised, Event::Unwritable, Event::DeadlinePassed, Event::Recovered]);
    events
}

fn branch_of(event: Event) -> Option<BranchIndex> {
    match event {
        Event::Sending { branch, .. } | Event::Answered { branch, .. } => Some(branch),
        Event::Resolving(what) => what.branch(),
        Event::Submitted | Event::Promised | Event::Unwritable | Event::DeadlinePassed | Event::Recovered => {
            None
        }
    }
}

/// The event's place in the order of rows, and its words.
fn event_word(event: Event) -> (usize, String) {
    match event {
        Event::Submitted => (0, "submitted".to_owned()),
        Event::Sending { operation, .. } => (1, format!("{operation} leaves")),
        Event::Answered { operation, outcome, .. } => {
            (2 + outcome as usize, format!("{operation}: {outcome}"))
        }
        Event::Promised => (7, "promised".to_owned()),
        Event::DeadlinePassed => (8, "deadline".to_owned()),
        Event::Recovered => (9, "recovered".to_owned()),
        Event::Resolving(what) => {
            (11 + usize::from(what.branch().is_none()), format!("by hand: {}", what.as_str()))
        }
        Event::Unwritable => (10, "unwritable".to_owned()),
    }
}

fn record_word(record: &Record, event: Event, this: BranchIndex) -> String {
    let durability = format!("{:?}", record.durability()).to_lowercase();
    match record {
        Record::Begun(_) => format!("Begun ({durability})"),
        Record::Wave(_) => format!("Wave ({durability})"),
        Record::Sent { .. } => format!("Sent ({durability})"),
        Record::Answered { .. } => format!("Answered ({durability})"),
        Record::Acted { .. } => format!("Acted ({durability})"),
        Record::Concluded(concluded) => {
            assert_eq!(concluded.cause, expected_cause(event));
            // A commit by hand has no cause, and an answer of its own.
            let by_hand = matches!(event, Event::Resolving(_)).then_some(Cause::ByHand);
            let cause = concluded.cause.or(by_hand);
            let answer = Plain { keyed: false, unusable: None }.answer(concluded.verdict, cause);
            assert_eq!(concluded.answer, answer);
            let told = told_word(concluded.tell, this);
            format!("Concluded {} ({durability}) telling {told}", concluded.verdict)
        }
        Record::Told { .. } => format!("Told ({durability})"),
        Record::Heuristic { .. } => format!("Heuristic ({durability})"),
        Record::Resolved(_) => format!("Resolved ({durability})"),
        Record::Ended => format!("Ended ({durability})"),
        Record::Forgotten => format!("Forgotten ({durability})"),
    }
}

fn expected_cause(event: Event) -> Option<Cause> {
    match event {
        Event::Answered { branch, outcome: Outcome::Refused, .. } => Some(Cause::Refused(branch)),
        // Who keeps no marks is not asked again.
        Event::Answered { branch, outcome: Outcome::Ongoing | Outcome::Unknown, .. } => {
            Some(Cause::Unanswered(branch))
        }
        Event::DeadlinePassed => Some(Cause::Deadline),
        Event::Recovered => Some(Cause::Interrupted),
        Event::Unwritable => Some(Cause::Unwritable),
        Event::Resolving(Resolution::Choose(Verdict::Rollback)) => Some(Cause::ByHand),
        Event::Resolving(_)
        | Event::Answered { .. }
        | Event::Submitted
        | Event::Promised
        | Event::Sending { .. } => None,
    }
}

fn told_word(tell: BranchSet, this: BranchIndex) -> &'static str {
    match (tell.contains(this), tell.len()) {
        (_, 0) => "nobody",
        (true, 1) => "it",
        (false, 1) => "the rest",
        _ => "both",
    }
}
