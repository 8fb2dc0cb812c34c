//! `unanimo transactions list|show|retry`: what a running gateway holds, and a word to it.

mod age;
mod said;

use crate::{admin_client, clock, table};
use http::Method;
use said::Reader;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;

/// Look at the transactions of a running gateway, and call for them at once
#[derive(clap::Args)]
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

#[derive(clap::Subcommand)]
enum Command {
    /// List transactions in the order of their ids, open and finished
    List(List),
    /// Show one transaction and its branches
    Show {
        /// The transaction's id: 26 characters
        id: String,
    },
    /// Call now what a transaction owes, without the rest of its pauses
    Retry {
        /// The transaction's id: 26 characters
        id: String,
    },
}

#[derive(clap::Args)]
struct List {
    /// Only those in this state: initial, preparing, committing, committed, undoing or rolled-back
    #[arg(long)]
    state: Option<String>,
    /// Only those that need somebody's eye
    #[arg(long)]
    stuck: bool,
    /// At most so many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those after this id: the cursor that the page before has given
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
        let mut path = format!("/v1/transactions?limit={}&stuck={}", self.limit, self.stuck);
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
