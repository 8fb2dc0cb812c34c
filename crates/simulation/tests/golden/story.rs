//! What every golden journal tells: each kind of record, plans, waves, two starts and a torn tail.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;
use unanimo_contract::operations::Word;
use unanimo_contract::trace::{Trace, TraceContext};
use unanimo_contract::{AnswerAt, BranchPlan, Calls, ClientAnswer, Digest, Id, Plan, RenderedCall, Shard};
use unanimo_journal::simulated::Simulated;
use unanimo_journal::{Append, Committer, Config, Journal, Now, Turn, open};
use unanimo_protocol::{
    Begun, BranchIndex, BranchSet, Cause, Concluded, Durability, Key, Outcome, Record, Resolution, Resolved,
    Time, Token, Verdict, Wave,
};

/// The files of a directory.
pub type Image = BTreeMap<String, Vec<u8>>;

/// Segments of 4 KiB, in memory.
pub fn config() -> Config {
    Config { segment_size: 4096, ..Config::new("golden") }
}

/// The story as this version writes it. The same bytes each time.
pub fn written() -> Image {
    let disk = Simulated::new(20);
    let mut first = Running::start(&disk);
    first.ends_and_endings();
    let disk = first.close();
    let mut second = Running::start(&disk);
    second.what_stays_open();
    let mut image = second.crash();
    tear(&mut image);
    image
}

/// Bytes of a batch that was never synced, behind the last one.
fn tear(image: &mut Image) {
    let Some((_, newest)) = image.iter_mut().rfind(|(name, _)| name.ends_with(".journal")) else { return };
    let end = newest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 9);
    newest[end..end + 5].copy_from_slice(b"\xb5UNB\x01");
}

struct Running {
    disk: Simulated,
    journal: Journal,
    committer: Committer<Simulated>,
    now: Now,
}

impl Running {
    fn start(disk: &Simulated) -> Running {
        let now = Now { time: Time(0), unix_ms: 1_790_000_000_000 };
        let mut recovery = open(config(), disk.clone()).expect("it opens");
        recovery.replay(|_| ()).expect("it is replayed");
        let (journal, committer) = recovery.assemble(now).expect("it starts");
        Running { disk: disk.clone(), journal, committer, now }
    }

    fn turns(&mut self) {
        self.now.time = self.now.time + Duration::from_millis(200);
        while let Turn::Did(_) = self.committer.turn(self.now) {}
    }

    fn append(&mut self, id: Id, plan: Option<&Plan>, records: Vec<Record>) {
        let plan = plan.map(|plan| (digest(plan), plan.encode()));
        let append = Append { transaction: id, epoch: self.journal.epoch(), plan, records };
        drop(self.journal.append(append).expect("it fits"));
        self.turns();
    }

    fn id(&self, number: u64) -> Id {
        Id::new(self.journal.node(), Shard(number as u8), self.journal.epoch(), number, 77)
    }

    /// A commit over two waves with a key, and each reason for a rollback; all finished.
    fn ends_and_endings(&mut self) {
        let order = plan("order", "two-phase");
        let key = Key { scope: Digest([3; 16]), fingerprint: Digest([4; 16]) };
        let id = self.id(1);
        self.append(id, Some(&order), vec![begun(&order, Some(key), 1)]);
        let later = Calls { branches: vec![call("/credits", "receipt")], ..Calls::default() };
        self.append(
            id,
            None,
            vec![Record::Wave(Wave { calls: later.encode(), durability: Durability::Forced })],
        );
        self.append(id, None, vec![concluded(None)]);
        self.append(id, None, told());
        let causes = [
            Cause::Refused(BranchIndex(1)),
            Cause::Deadline,
            Cause::Interrupted,
            Cause::Unusable(BranchIndex(0)),
            Cause::Unwritable,
        ];
        for (number, cause) in (2..).zip(causes) {
            let id = self.id(number);
            self.append(id, Some(&order), vec![begun(&order, None, 1)]);
            let mut records = vec![concluded(Some(cause))];
            records.extend(told());
            self.append(id, None, records);
        }
    }

    /// One without a verdict, one that commits, one that rolls back, and one that ended against its verdict.
    fn what_stays_open(&mut self) {
        let (order, stay) = (plan("order", "two-phase"), plan("stay", "tcc"));
        let (undecided, committing, undoing, heuristic) =
            (self.id(10), self.id(11), self.id(12), self.id(13));
        self.append(undecided, Some(&stay), vec![begun(&stay, None, 2)]);
        self.append(committing, Some(&order), vec![begun(&order, None, 2), concluded(None)]);
        self.append(committing, None, vec![Record::Told { branch: BranchIndex(0) }]);
        self.append(undoing, Some(&stay), vec![begun(&stay, None, 2)]);
        self.append(undoing, None, vec![concluded(Some(Cause::Deadline))]);
        self.append(heuristic, Some(&order), vec![begun(&order, None, 2), concluded(None)]);
        self.append(heuristic, None, vec![Record::Heuristic { branch: BranchIndex(1) }]);
        let (trip, acting) = (plan("trip", "saga"), self.id(14));
        let acted =
            |branch| Record::Acted { branch, outcome: Outcome::Done, answer: Bytes::from_static(b"") };
        self.append(acting, Some(&trip), vec![begun(&trip, None, 1)]);
        self.append(acting, None, vec![acted(BranchIndex(0))]);
        let word = Word { who: "somebody".into(), why: "looked".into(), at_unix_ms: 1_790_000_000_456 };
        let what = Resolution::SignOff(BranchIndex(1));
        self.append(heuristic, None, vec![Record::Resolved(Resolved { what, word: word.encode() })]);
    }

    fn close(mut self) -> Simulated {
        self.journal.close();
        self.turns();
        self.disk.restart()
    }

    /// The process is killed: what it wrote is there.
    fn crash(self) -> Image {
        let Running { disk, committer, .. } = self;
        drop(committer);
        disk.image()
    }
}

fn digest(plan: &Plan) -> Digest {
    Plan::digest_of(&plan.encode())
}

fn plan(route: &str, mode: &str) -> Plan {
    let branch = |name: &str, service: &str, body: serde_json::Value| BranchPlan {
        name: name.into(),
        service: service.into(),
        after: vec![],
        path: format!("/{name}s"),
        paths: vec![],
        headers: vec![("x-tenant".into(), "${request.headers['x-tenant']}".into())],
        body: Some(body),
        call_timeout_ms: 2000,
        asks: false,
        step: Default::default(),
        exact: false,
        method: None,
        compensate: None,
        unfenced: false,
        attempts: None,
        needs_client: false,
    };
    Plan {
        language: 2,
        route: route.into(),
        mode: mode.into(),
        deadline_ms: 5000,
        answer_timeout_ms: 7000,
        answer_at: AnswerAt::Finished,
        branches: vec![
            branch("debit", "bank-a", serde_json::json!({ "amount": "${request.body.amount}" })),
            branch("credit", "bank-b", serde_json::json!({ "of": "${branches.debit.response.receipt}" })),
        ],
        respond: None,
        secret: Vec::new(),
        refused: None,
    }
}

fn call(path: &str, body: &str) -> RenderedCall {
    RenderedCall {
        path: path.into(),
        method: None,
        paths: vec![("commit".into(), "/done".into())],
        headers: [("x-tenant".to_owned(), "blue".to_owned())].into(),
        body: Bytes::from(format!("{{\"amount\":\"10.10\",\"of\":\"{body}\"}}")),
    }
}

/// The calls of its first wave, or of both.
fn begun(plan: &Plan, key: Option<Key>, waves: u8) -> Record {
    let trace = TraceContext { trace: Trace::new(7), state: Some("a=1".into()) };
    let branches = [call("/debits", "request"), call("/credits", "receipt")];
    let branches = branches.into_iter().take(waves.into()).collect();
    Record::Begun(Begun {
        token: Token(0x1234_5678_9abc_def0),
        plan: digest(plan),
        key,
        deadline: Duration::from_secs(5),
        began_unix_ms: 1_790_000_000_123,
        waves,
        calls: Calls { branches, trace: Some(trace), ..Calls::default() }.encode(),
        durability: Durability::Forced,
    })
}

fn concluded(cause: Option<Cause>) -> Record {
    let (verdict, status, durability) = match cause {
        None => (Verdict::Commit, 200, Durability::Forced),
        Some(_) => (Verdict::Rollback, 409, Durability::Lazy),
    };
    let answer = ClientAnswer::json(status, "{\"said\":\"to the client\"}").encode();
    let tell = BranchSet::first(2);
    Record::Concluded(Concluded { verdict, cause, tell, answer, calls: Bytes::new(), durability })
}

fn told() -> Vec<Record> {
    vec![Record::Told { branch: BranchIndex(0) }, Record::Told { branch: BranchIndex(1) }, Record::Ended]
}
