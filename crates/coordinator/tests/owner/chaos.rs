//! Random schedules: whatever order things happen in, each waiter is answered once and with the truth, no queue
//! overflows, nobody is woken for nothing, and when the faults are over everything ends.

use crate::fixtures::{done, keyed, plan, problem, read_only, refused, silence, status, submission};
use crate::shell::{MILLISECOND, SECOND, Shell, config};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use unanimo_contract::{Answer, ClientAnswer, Id, Mode, ParticipantCall, Plan, Reply, Submission, Verdict};
use unanimo_coordinator::{CallId, Config, Retry, Unwritten};
use unanimo_protocol::Record;

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit {
        plan: usize,
        key: Option<(u8, u8)>,
        respond_async: bool,
    },
    Sync,
    Answer(usize, Say),
    /// The same answer is told twice.
    Echo(usize),
    Pass(u32),
    /// Time passes, and the owner is woken late.
    Oversleep(u32),
    Refuse,
    Forget,
    Leave,
    Poison,
    Crash(usize),
}

#[derive(Clone, Copy, Debug)]
enum Say {
    Done,
    ReadOnly,
    No,
    Conflict,
    Busy,
    Nothing,
}

proptest! {
    #![proptest_config(Cases { failure_persistence: None, ..Cases::default() })]

    #[test]
    fn whatever_happens_everybody_hears_the_truth_once_and_everything_ends(steps in steps()) {
        World::run(&steps);
    }
}

#[test]
fn the_schedules_reach_what_they_are_meant_to_reach() {
    let seen = RefCell::new(BTreeMap::new());
    let cases = Cases { cases: 120, failure_persistence: None, ..Cases::default() };
    let mut runner = TestRunner::new_with_rng(cases, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = |steps: Vec<Step>| {
        for (what, times) in World::run(&steps) {
            *seen.borrow_mut().entry(what).or_insert(0) += times;
        }
        Ok(())
    };
    runner.run(&steps(), run).unwrap();
    let seen = seen.into_inner();
    let wanted = [
        "200",
        "202",
        "409",
        "422",
        "503",
        "504",
        "severed",
        "crashes",
        "held",
        "told again",
        "stuck",
        "Recovered",
    ];
    let missing: Vec<&str> =
        wanted.into_iter().filter(|what| seen.get(*what).is_none_or(|times| *times < 3)).collect();
    assert!(missing.is_empty(), "{missing:?} in {seen:?}");
}

struct World {
    shell: Shell,
    plans: Vec<Plan>,
    /// What was answered of each transaction that has a verdict.
    answers: BTreeMap<Id, ClientAnswer>,
    /// What its branches were told.
    verdicts: BTreeMap<Id, Verdict>,
    seen: BTreeMap<String, u64>,
}

impl World {
    fn run(steps: &[Step]) -> BTreeMap<String, u64> {
        let retry =
            Retry { budget_ratio: 0.0, budget_per_second: 0.5, stuck_after: 20 * SECOND, ..Retry::default() };
        let mut ordered = plan(Mode::TwoPhase, 3);
        ordered.branches[2].after = vec![0];
        let mut world = World {
            shell: Shell::with(Config { open_limit: 5, retry, ..config() }),
            plans: vec![plan(Mode::TwoPhase, 2), plan(Mode::Tcc, 2), ordered, plan(Mode::Tcc, 1)],
            answers: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        for step in steps {
            world = world.step(*step);
            world.check();
        }
        world.heal().seen
    }

    fn step(mut self, step: Step) -> World {
        let shell = &mut self.shell;
        match step {
            Step::Submit { plan, key, respond_async } => {
                let plan = &self.plans[plan % self.plans.len()];
                let plain = |key: Option<(u8, u8)>| {
                    key.map_or(submission(plan), |(key, payload)| keyed(plan, key, payload))
                };
                shell.submit(Submission { respond_async, ..plain(key) });
                shell.recall_all();
            }
            Step::Sync => shell.sync(),
            Step::Answer(at, say) => {
                if let Some(at) = at.checked_rem(shell.calls.len()) {
                    let answer = say.to(&shell.calls[at]);
                    shell.answer_at(at, answer);
                }
            }
            Step::Echo(at) => {
                if let Some(at) = at.checked_rem(shell.calls.len()) {
                    let call = CallId::from(&shell.calls[at]);
                    shell.answer_at(at, done());
                    shell.owner.answered(shell.at(), call, silence());
                    shell.carry_out();
                }
            }
            Step::Pass(ms) => shell.pass(ms * MILLISECOND),
            Step::Oversleep(ms) => {
                shell.now = shell.now + ms * MILLISECOND;
                shell.tick();
            }
            Step::Refuse => {
                if shell.appends.first().is_some_and(|append| matches!(append.records[0], Record::Begun(_))) {
                    shell.refuse(Unwritten::Full);
                }
            }
            Step::Forget => {
                shell.owner.cover(shell.batch);
                shell.batch += 1;
            }
            Step::Leave => {
                shell.owner.leave(shell.at());
                shell.carry_out();
            }
            Step::Poison => {
                shell.owner.poison();
                shell.carry_out();
                assert_eq!(shell.waiting.len(), 0);
            }
            Step::Crash(kept) => return self.crash(kept),
        }
        self
    }

    fn crash(mut self, kept: usize) -> World {
        self.check();
        let tally = self.shell.owner.tally();
        self.note("held", tally.retries_held);
        self.note("told again", tally.retries);
        self.note("crashes", 1);
        // An answer that leaned on no disk may be another one after the crash: without a key nobody comes back for it.
        World { shell: self.shell.crash(kept), ..self }
    }

    /// Looks at everything that came out since the last look.
    fn check(&mut self) {
        for reply in std::mem::take(&mut self.shell.replies).into_values() {
            self.note(
                &reply.as_ref().map_or("severed".to_owned(), |reply| reply.answer.status.to_string()),
                1,
            );
            if let Ok(Reply { transaction: Some(id), answer, .. }) = reply
                && answer.status != 202
                && !is_in_progress(&answer)
            {
                self.check_answer(id, answer);
            }
        }
        for (_, call) in std::mem::take(&mut self.shell.left) {
            if let Some(verdict) = call.operation.tells() {
                let told = *self.verdicts.entry(call.transaction).or_insert(verdict);
                assert_eq!(told, verdict, "{} was told both verdicts", call.transaction);
            }
        }
        for notice in std::mem::take(&mut self.shell.notices) {
            let word = format!("{notice:?}");
            self.note(if word.starts_with("Stuck") { "stuck" } else { word.as_str() }, 1);
        }
    }

    /// One transaction, one answer; and what a crash could take back is told to nobody who may come back.
    fn check_answer(&mut self, id: Id, answer: ClientAnswer) {
        let disk = &self.shell.disk;
        let is_keyed = |record: &&Record| matches!(record, Record::Begun(begun) if begun.key.is_some());
        let keyed = self.shell.written(id).iter().any(is_keyed);
        let mut durable =
            disk.decisions[..disk.synced].iter().filter(|d| d.id == id).flat_map(|d| &d.records);
        let durable = durable.any(|record| matches!(record, Record::Concluded(_)));
        assert!(
            durable || (!keyed && answer.status >= 400),
            "{id}: {} and no durable verdict",
            answer.status
        );
        let first = self.answers.entry(id).or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "{id} was answered in two ways");
    }

    /// Every fault is over.
    fn heal(mut self) -> World {
        if !self.shell.owner.is_accepting() {
            self = self.crash(0);
        }
        for _ in 0..60 {
            self.shell.sync();
            self.shell.answer_all(&done());
            self.shell.pass(2 * SECOND);
            self.check();
        }
        let owner = &self.shell.owner;
        assert_eq!((owner.open_len(), owner.wake(), self.shell.waiting.len()), (0, None, 0));
        assert_eq!(owner.tally().recovering, 0);
        self
    }

    fn note(&mut self, what: &str, times: u64) {
        *self.seen.entry(what.to_owned()).or_insert(0) += times;
    }
}

impl Say {
    fn to(self, call: &ParticipantCall) -> Answer {
        let asks = call.operation.tells().is_none();
        match self {
            Say::Done => done(),
            Say::ReadOnly => read_only(),
            Say::No if asks => refused(),
            Say::No => status(call, 404, None),
            Say::Conflict => status(call, 409, None),
            Say::Busy => status(call, 503, Some("1")),
            Say::Nothing => silence(),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let say = prop_oneof![
        10 => Just(Say::Done), 2 => Just(Say::ReadOnly), 1 => Just(Say::No), 1 => Just(Say::Conflict),
        2 => Just(Say::Busy), 4 => Just(Say::Nothing)
    ];
    let key = proptest::option::of((0..4u8, 0..2u8));
    let submit = (any::<usize>(), key, proptest::bool::weighted(0.1));
    let step = prop_oneof![
        10 => submit.prop_map(|(plan, key, respond_async)| Step::Submit { plan, key, respond_async }),
        12 => Just(Step::Sync),
        40 => (any::<usize>(), say).prop_map(|(at, say)| Step::Answer(at, say)),
        3 => any::<usize>().prop_map(Step::Echo),
        10 => (0..1500u32).prop_map(Step::Pass),
        3 => (0..30_000u32).prop_map(Step::Oversleep),
        2 => Just(Step::Refuse),
        2 => Just(Step::Forget),
        1 => Just(Step::Leave),
        1 => Just(Step::Poison),
        3 => (0..3usize).prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 0..120)
}

/// Whether it only says that the answer is not known yet.
fn is_in_progress(answer: &ClientAnswer) -> bool {
    answer.status == 409 && problem(answer) == "in-progress"
}
