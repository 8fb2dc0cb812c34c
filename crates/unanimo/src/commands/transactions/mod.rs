//! `unanimo transactions list|show|retry`: what a running gateway holds, and a word to it.

mod age;
mod said;

use crate::{admin_client, clock, table};
use http::Method;
use said::Reader;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;

/// Look at what a running gateway holds, and call for it at once
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Transactions {
    /// The gateway's admin listener
    #[arg(long, global = true, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    admin: String,
    /// Print the admin listener's own JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Asks the admin listener of a gateway that runs on this machine.

Example:
  $ unanimo transactions list --stuck
  $ unanimo transactions show 0a8sd8p0r0000g0000000rq7tm
  $ unanimo transactions retry 0a8sd8p0r0000g0000000rq7tm

Ends with:
  0  it was answered
  1  the question was wrong, or nobody knows the id
  3  nobody answered

Read on: docs/operating.md";

const LIST_HELP: &str = "\
States: initial, preparing, committing, committed, undoing, rolled-back.

Example:
  $ unanimo transactions list --state committing --limit 2
  ID                          STATE        AGE  MODE  ROUTE  NOTE
  0a8sd8p0r0000g0000000rq7tm  committing  12 s  tcc   order
  0a8sd8p0r0000g0000000wq1c4  committing   9 s  tcc   order
  more: --after 0a8sd8p0r0000g0000000wq1c4

Ends with:
  0  there was an answer, be it that there are none
  1  the question was wrong
  3  nobody answered

Read on: docs/operating.md has the members of the JSON";

const SHOW_HELP: &str = "\
Example:
  $ unanimo transactions show 0a8sd8p0r0000g0000000rq7tm
  transaction  0a8sd8p0r0000g0000000rq7tm
  route        transfer
  mode         two-phase
  state        committing
  verdict      1 (committed)
  note         stuck
  began        3 min 20 s ago (Sat, 21 Nov 2026 17:45:20 GMT)
  answer       200, to the client

  BRANCH  SERVICE  STANDS  CALLS  LAST ANSWER
  debit   bank-a   told        1  commit: done (200)
  credit  bank-b   ready      12  commit: no answer

Ends with:
  0  it is known
  1  it is not. That does not mean that it was rolled back
  3  nobody answered

Read on: docs/operating.md has the members of the JSON";

const RETRY_HELP: &str = "\
For a service that is back: a call that would have left only after a pause
leaves now, and the pauses begin from the shortest again. It changes nothing
else: the verdict stands, and a call that is under way is not repeated. Where
it is never used, every call is repeated by itself all the same.

Example:
  $ unanimo transactions retry 0a8sd8p0r0000g0000000rq7tm
  0a8sd8p0r0000g0000000rq7tm is committing
    called now         credit

Ends with:
  0  it was done, or nothing was owed
  1  nobody knows the id
  3  nobody answered

Read on: docs/operating.md";

#[derive(clap::Subcommand)]
enum Command {
    #[command(after_long_help = LIST_HELP)]
    /// List transactions in the order of their ids, open and finished
    List(List),
    #[command(after_long_help = SHOW_HELP)]
    /// Show one transaction and its branches
    Show {
        /// The transaction's id: 26 characters
        id: String,
    },
    #[command(after_long_help = RETRY_HELP)]
    /// Call now what a transaction owes, without the rest of its pauses
    Retry {
        /// The transaction's id: 26 characters
        id: String,
    },
}

#[derive(clap::Args)]
struct List {
    /// Only those in this state
    #[arg(long, hide_possible_values = true, value_parser = ["initial", "preparing", "committing", "committed", "undoing", "rolled-back"])]
    state: Option<String>,
    /// Only those that need somebody's eye
    #[arg(long)]
    stuck: bool,
    /// At most so many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those after this id, which ended the page before
    #[arg(long, value_name = "ID")]
    after: Option<String>,
}

impl Transactions {
    /// Ends with 0 where there was an answer, 1 where the question was wrong or the id is unknown, 3 where nobody
    /// answered.
    pub fn run(self) -> ExitCode {
        let (method, path) = match &self.command {
            Command::List(list) => (Method::GET, list.path()),
            Command::Show { id } => (Method::GET, format!("/v1/transactions/{}", escaped(id))),
            Command::Retry { id } => (Method::POST, format!("/v1/transactions/{}/retry", escaped(id))),
        };
        let (status, body) = match admin_client::ask(&self.admin, method, &path) {
            Ok(answer) => answer,
            Err(error) => return fail(3, &error.to_string()),
        };
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            return fail(3, &format!("{} did not answer with JSON; is it the admin listener?", self.admin));
        };
        if !status.is_success() {
            return fail(1, answer["detail"].as_str().unwrap_or("the admin listener refused to answer"));
        }
        let reader = Reader { now_ms: clock::unix_ms(), width: table::terminal_width() };
        let text = match &self.command {
            _ if self.json => format!("{answer:#}"),
            Command::List(_) => said::list(&answer, reader),
            Command::Show { .. } => said::show(&answer, reader),
            Command::Retry { .. } => said::retry(&answer),
        };
        // A closed pipe is the reader's business.
        let _ = writeln!(io::stdout(), "{text}");
        ExitCode::SUCCESS
    }
}

impl List {
    fn path(&self) -> String {
        let mut path = format!("/v1/transactions?limit={}", self.limit);
        if self.stuck {
            path.push_str("&flag=stuck,heuristic,quarantined");
        }
        for (name, value) in [("state", &self.state), ("after", &self.after)] {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", escaped(value)));
            }
        }
        path
    }
}

/// What may not stand in a path or query as it is, percent-encoded.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.';
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn fail(code: u8, why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_cannot_leave_its_place() {
        assert_eq!(escaped("a/../b?c&d"), "a%2F..%2Fb%3Fc%26d");
    }
}
