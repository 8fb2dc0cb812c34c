//! `unanimo journal dump`: every record in its order, for people or as JSON lines.

use super::{Failed, UNREADABLE, directory, look};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use unanimo_contract::shown::{self, Bodies, hex};
use unanimo_contract::{Digest, Id, Plan};
use unanimo_journal::{Entry, Replayed, Seen, inspect};
use unanimo_protocol::Record;

/// Print the records in their order
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Dump {
    /// The journal's directory, a backup, or a configuration
    path: PathBuf,
    /// Only this transaction
    #[arg(long, value_name = "ID")]
    transaction: Option<Id>,
    /// Only this segment
    #[arg(long, value_name = "NUMBER")]
    segment: Option<u64>,
    /// Only from this batch on
    #[arg(long, value_name = "BATCH")]
    from: Option<u64>,
    /// Only up to this batch
    #[arg(long, value_name = "BATCH")]
    to: Option<u64>,
    /// Print paths, headers and bodies too, up to 1 KiB each
    #[arg(long)]
    bodies: bool,
    /// Print a line of JSON for each record
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Of what clients and services said it prints how many bytes that is, unless
`--bodies` asks for more; sealed values are never opened. Plans are printed
where a segment first holds them. It takes no lock and changes nothing.

Example:
  $ unanimo journal dump ./data/journal --transaction 0a8sd8p0r0000g0000000rq7tm
  1:1204  batch 7   0a8sd8p0r0000g0000000rq7tm  begun  route=transfer …
  1:1610  batch 8   0a8sd8p0r0000g0000000rq7tm  concluded  verdict=commit …
  1:1702  batch 9   0a8sd8p0r0000g0000000rq7tm  told  branch=debit

Ends with:
  0  everything was printed
  1  the journal is damaged; what stands before the damage was printed
  2  it cannot be read, or another version wrote it

Read on: docs/journal-format.md";

impl Dump {
    pub fn run(self) -> Result<(), Failed> {
        let directory = directory(&self.path)?;
        let files = look(&directory)?;
        let mut out = Printing {
            wants: &self,
            plans: BTreeMap::new(),
            began: BTreeMap::new(),
            out: BufWriter::new(io::stdout().lock()),
            failed: None,
        };
        let inspected = inspect(&files, &directory, |seen| out.seen(&seen));
        let flushed = out.out.flush().err();
        match out.failed.or(flushed) {
            // Nobody reads any more.
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(Failed { code: UNREADABLE, why: format!("error: could not print: {error}") }),
            None => Ok(inspected.map(drop)?),
        }
    }

    fn wants(&self, replayed: &Replayed) -> bool {
        let batch = replayed.batch.number();
        self.transaction.is_none_or(|id| id == replayed.transaction)
            && self.segment.is_none_or(|segment| segment == replayed.segment.0)
            && self.from.is_none_or(|from| from <= batch)
            && self.to.is_none_or(|to| batch <= to)
    }
}

struct Printing<'a, W> {
    wants: &'a Dump,
    plans: BTreeMap<Digest, Plan>,
    /// The plans of those that have begun and not ended.
    began: BTreeMap<Id, Digest>,
    out: W,
    failed: Option<io::Error>,
}

impl<W: Write> Printing<'_, W> {
    fn seen(&mut self, seen: &Seen) {
        let replayed = &seen.replayed;
        let (word, members) = match &replayed.entry {
            Entry::Plan { digest, bytes } => self.plan(*digest, bytes),
            Entry::Record(settled) => self.record(replayed.transaction, settled.record()),
        };
        if self.failed.is_none() && self.wants.wants(replayed) {
            let line =
                if self.wants.json { as_json(seen, word, members) } else { as_text(seen, word, &members) };
            self.failed = writeln!(self.out, "{line}").err();
        }
    }

    fn plan(&mut self, digest: Digest, bytes: &[u8]) -> (&'static str, Map<String, Value>) {
        let mut members = Map::new();
        members.insert("plan".to_owned(), Value::from(hex(&digest.0)));
        match Plan::decode(bytes) {
            Ok(plan) => {
                members.insert("holds".to_owned(), serde_json::from_slice(bytes).unwrap_or_default());
                self.plans.insert(digest, plan);
            }
            Err(error) => drop(members.insert("unreadable".to_owned(), Value::from(error.to_string()))),
        }
        ("plan", members)
    }

    fn record(&mut self, id: Id, record: &Record) -> (&'static str, Map<String, Value>) {
        if let Record::Begun(begun) = record {
            self.began.insert(id, begun.plan);
        }
        let plan = self.began.get(&id).and_then(|digest| self.plans.get(digest));
        let bodies = if self.wants.bodies { Bodies::Shown } else { Bodies::Masked };
        let shown = shown::record(record, plan, bodies);
        if *record == Record::Ended {
            self.began.remove(&id);
        }
        shown
    }
}

fn as_json(seen: &Seen, word: &str, members: Map<String, Value>) -> String {
    let replayed = &seen.replayed;
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
    put("segment", Value::from(replayed.segment.0));
    put("offset", Value::from(replayed.offset));
    put("batch", Value::from(replayed.batch.number()));
    put("transaction", Value::from(replayed.transaction.to_string()));
    put("record", Value::from(word));
    if !seen.known {
        put("left_over", Value::from(true));
    }
    line.extend(members);
    Value::Object(line).to_string()
}

fn as_text(seen: &Seen, word: &str, members: &Map<String, Value>) -> String {
    let Replayed { segment, offset, batch, transaction, .. } = &seen.replayed;
    let place = format!("{segment}:{offset}");
    let mut line = format!("{place:<12} batch {:<6} {transaction}  {word}", batch.number());
    if !seen.known {
        line.push_str(" (left over)");
    }
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        match value {
            Value::String(text) if !text.contains(char::is_whitespace) => {
                line.push_str(&format!("  {name}={text}"))
            }
            other => line.push_str(&format!("  {name}={other}")),
        }
    }
    line
}
