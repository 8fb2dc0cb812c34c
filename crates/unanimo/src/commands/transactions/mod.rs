//! `unanimo transactions …`: what a running gateway holds, and a word to it.

mod age;
mod filter;
mod help;
mod resolve;
mod said;
mod timeline;
mod watch;

use crate::{admin_client, clock, log, table};
use filter::Filter;
use http::Method;
use resolve::Resolve;
use said::Reader;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Look at what a running gateway holds, and say a word to it
#[derive(clap::Args)]
#[command(after_long_help = help::ALL)]
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
    #[command(after_long_help = help::LIST)]
    /// List transactions, open and finished, newest first
    List(List),
    #[command(after_long_help = help::SHOW)]
    /// Show one transaction, its branches, and what happened to it
    Show {
        /// The transaction's id: 26 characters
        id: String,
        /// Also what each branch was asked and answered
        #[arg(long)]
        calls: bool,
    },
    #[command(after_long_help = help::WATCH)]
    /// Tell what happens, as it happens
    Watch {
        /// Only this transaction, until it has ended: 26 characters
        id: Option<String>,
        #[command(flatten)]
        filter: Filter,
    },
    #[command(after_long_help = help::RETRY)]
    /// Call now what a transaction owes, without the rest of its pauses
    Retry {
        /// The transaction's id: 26 characters
        id: String,
    },
    #[command(after_long_help = help::RESOLVE, override_usage = "unanimo transactions resolve [OPTIONS] <WHAT> <ID>")]
    /// End by hand what cannot end by itself
    Resolve(Resolve),
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many, up to 1000
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Only those after this place: a page's end
    #[arg(long, value_name = "PLACE")]
    after: Option<String>,
}

impl Transactions {
    /// Ends with 0 where there was an answer, 1 where the question was wrong, refused, or the id is unknown, 3 where
    /// nobody answered.
    pub fn run(self) -> ExitCode {
        let coloured = io::stdout().is_terminal() && !log::wants_no_colour();
        let reader = Reader { now_ms: clock::unix_ms(), width: table::terminal_width(), coloured };
        let (method, path) = match &self.command {
            Command::List(list) => (Method::GET, list.path()),
            Command::Show { id, .. } => (Method::GET, format!("/v1/transactions/{}", escaped(id))),
            Command::Retry { id } => (Method::POST, format!("/v1/transactions/{}/retry", escaped(id))),
            Command::Resolve(resolve) => return resolve.run(&self.admin, reader, self.json),
            Command::Watch { id, filter } => {
                let path = match id {
                    Some(id) => format!("/v1/transactions/{}/watch", escaped(id)),
                    None => format!("/v1/transactions/watch?{}", filter.query().trim_start_matches('&')),
                };
                return watch::run(&self.admin, &path, reader, self.json);
            }
        };
        let answer = match asked(&self.admin, method, &path, None) {
            Ok(answer) => answer,
            Err(code) => return code,
        };
        let text = match &self.command {
            _ if self.json => format!("{answer:#}"),
            Command::List(_) => said::list(&answer, reader),
            Command::Show { calls: true, .. } => {
                [said::show(&answer, reader), said::calls(&answer)].join("\n\n")
            }
            Command::Show { .. } => said::show(&answer, reader),
            _ => said::retry(&answer),
        };
        // A closed pipe is the reader's business.
        let _ = writeln!(io::stdout(), "{text}");
        ExitCode::SUCCESS
    }
}

impl List {
    fn path(&self) -> String {
        let after =
            self.after.as_deref().map_or_else(String::new, |after| format!("&after={}", escaped(after)));
        format!("/v1/transactions?limit={}{}{after}", self.limit, self.filter.query())
    }
}

/// What the admin listener answers; else the code to end with, after why was told.
fn asked(admin: &str, method: Method, path: &str, body: Option<String>) -> Result<Value, ExitCode> {
    let (status, body) =
        admin_client::say(admin, method, path, body).map_err(|error| fail(3, &error.to_string()))?;
    let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
        return Err(fail(3, &format!("{admin} did not answer with JSON; is it the admin listener?")));
    };
    if status == http::StatusCode::SERVICE_UNAVAILABLE {
        return Err(fail(3, answer["detail"].as_str().unwrap_or("the gateway cannot answer now")));
    }
    if !status.is_success() {
        return Err(fail(1, answer["detail"].as_str().unwrap_or("the admin listener refused to answer")));
    }
    Ok(answer)
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
