//! `unanimo transactions list|show`: what a running gateway holds.

use crate::admin_client;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;

/// Look at the transactions of a running gateway
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
    /// Show one transaction; its branches while it is open
    Show {
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
        let path = match &self.command {
            Command::List(list) => list.path(),
            Command::Show { id } => format!("/v1/transactions/{}", escaped(id)),
        };
        let (status, body) = match admin_client::get(&self.admin, &path) {
            Ok(answer) => answer,
            Err(error) => return fail(3, &error.to_string()),
        };
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            return fail(3, &format!("{} did not answer with JSON; is it the admin listener?", self.admin));
        };
        if !status.is_success() {
            return fail(1, answer["detail"].as_str().unwrap_or("the admin listener refused to answer"));
        }
        let text = match &self.command {
            _ if self.json => format!("{answer:#}"),
            Command::List(_) => listed(&answer),
            Command::Show { .. } => shown(&answer),
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

const COLUMNS: [(&str, usize); 5] = [("ID", 26), ("STATE", 11), ("MODE", 9), ("ROUTE", 20), ("NOTE", 0)];

fn listed(page: &Value) -> String {
    let mut lines = vec![row(COLUMNS.map(|(title, _)| title.to_owned()))];
    let transactions = page["transactions"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(transactions.iter().map(|view| {
        let word = |name: &str| text(&view[name]);
        row([word("id"), word("state"), word("mode"), word("route"), note(view)])
    }));
    match page["next"].as_str() {
        Some(next) => lines.push(format!("more: --after {next}")),
        None if transactions.is_empty() => lines.push("no transactions".to_owned()),
        None => {}
    }
    lines.join("\n")
}

fn row(cells: [String; 5]) -> String {
    let padded = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn note(view: &Value) -> String {
    let flags =
        ["stuck", "heuristic"].into_iter().filter(|flag| view[flag] == Value::Bool(true)).map(str::to_owned);
    flags.chain(view["cause"].as_str().map(str::to_owned)).collect::<Vec<_>>().join(", ")
}

fn shown(view: &Value) -> String {
    let facts = [
        ("transaction", text(&view["id"])),
        ("route", text(&view["route"])),
        ("mode", text(&view["mode"])),
        ("state", text(&view["state"])),
        ("verdict", verdict(&view["verdict"])),
        ("note", note(view)),
        ("answer", text(&view["answer_status"])),
    ];
    let mut lines: Vec<String> = facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:12} {value}"))
        .collect();
    for branch in view["branches"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let word = |name: &str| text(&branch[name]);
        let (name, service, progress, last) =
            (word("name"), word("service"), word("progress"), word("last_answer"));
        lines.push(format!("  {name:16} {service:16} {progress:10} {last}").trim_end().to_owned());
    }
    lines.join("\n")
}

fn verdict(number: &Value) -> String {
    match number.as_i64() {
        Some(1) => "1 (committed)".to_owned(),
        Some(0) => "0 (rolled back)".to_owned(),
        _ => "-1 (not yet known)".to_owned(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_a_table() {
        let page = json!({ "next": "b", "transactions": [
            { "id": "a", "state": "committing", "mode": "tcc", "route": "order", "stuck": true, "cause": null },
        ] });
        let expected = "ID                          STATE        MODE       ROUTE                 NOTE\n\
                        a                           committing   tcc        order                 stuck\n\
                        more: --after b";
        assert_eq!(listed(&page), expected);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(listed(&json!({ "transactions": [], "next": null })).ends_with("no transactions"));
    }

    #[test]
    fn one_transaction_has_its_branches_below() {
        let view = json!({
            "id": "a", "route": "order", "mode": "tcc", "state": "undoing", "verdict": 0, "cause": "refused",
            "answer_status": 409,
            "branches": [{ "name": "pay", "service": "payment", "progress": "refused", "last_answer": null }],
        });
        let expected = "transaction  a\nroute        order\nmode         tcc\nstate        undoing\n\
                        verdict      0 (rolled back)\nnote         refused\nanswer       409\n  \
                        pay              payment          refused";
        assert_eq!(shown(&view), expected);
    }

    #[test]
    fn what_is_typed_cannot_leave_its_place() {
        assert_eq!(escaped("a/../b?c&d"), "a%2F..%2Fb%3Fc%26d");
    }
}
