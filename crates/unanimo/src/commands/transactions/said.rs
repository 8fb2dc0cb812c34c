//! The admin listener's answers as text for people.

use super::timeline::Tone;
use super::{age, timeline};
use crate::demo::paint::{Colour, paint};
use crate::table::{self, Column, Give};
use serde_json::Value;

const LIST: [Column; 6] = [
    Column::new("ID", Give::Nothing),
    Column::new("STATE", Give::Nothing),
    Column::number("AGE", Give::Away(1)),
    Column::new("MODE", Give::Away(2)),
    Column::new("ROUTE", Give::Cut(8)),
    Column::new("NOTE", Give::Cut(8)),
];

const BRANCHES: [Column; 5] = [
    Column::new("BRANCH", Give::Cut(8)),
    Column::new("SERVICE", Give::Away(2)),
    Column::new("STANDS", Give::Nothing),
    Column::number("CALLS", Give::Away(1)),
    Column::new("LAST ANSWER", Give::Cut(12)),
];

/// What the lines are made for: the present, and the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Characters on a line; `None` where nothing is to be cut.
    pub width: Option<usize>,
    /// Whether lines may have a colour.
    pub coloured: bool,
}

impl Reader {
    /// The line in the colour of its tone.
    pub fn paint(self, line: &str, tone: Tone) -> String {
        let colour = match tone {
            Tone::Plain => return line.to_owned(),
            Tone::Good => Colour::Green,
            Tone::Bad => Colour::Red,
            Tone::Warning => Colour::Yellow,
        };
        paint(self.coloured, colour, line)
    }
}

/// A page of transactions as a table.
pub fn list(page: &Value, reader: Reader) -> String {
    let transactions = elements(&page["transactions"]);
    if transactions.is_empty() {
        return "no transactions".to_owned();
    }
    let rows: Vec<_> = transactions
        .iter()
        .map(|view| {
            let word = |name: &str| text(&view[name]);
            [word("id"), word("state"), age_of(view, reader), word("mode"), word("route"), note(view)]
        })
        .collect();
    let mut lines = table::lines(LIST, &rows, reader.width);
    if let Some(next) = page["next"].as_str() {
        lines.push(format!("more: --after {next}"));
    }
    lines.join("\n")
}

/// One transaction: its facts, and a table of its branches.
pub fn show(view: &Value, reader: Reader) -> String {
    let word = |name: &str| text(&view[name]);
    let began = view["began_unix_ms"].as_u64().map_or_else(String::new, |began| {
        format!("{} ago ({})", age::spell(reader.now_ms.saturating_sub(began)), age::moment(began))
    });
    let answer = match view["answer_status"].as_u64() {
        Some(status) => format!("{status}, to the client"),
        None => String::new(),
    };
    let keyed = if view["keyed"] == true { "yes: the same key gives the same answer" } else { "" };
    let facts = [
        ("transaction", word("id")),
        ("route", word("route")),
        ("mode", word("mode")),
        ("state", word("state")),
        ("verdict", verdict(&view["verdict"])),
        ("note", note(view)),
        ("began", began),
        ("keyed", keyed.to_owned()),
        ("answer", answer),
    ];
    let mut lines: Vec<String> = facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name:12} {value}"))
        .collect();
    let rows: Vec<_> = elements(&view["branches"])
        .iter()
        .map(|branch| {
            ["name", "service", "progress", "attempts", "last_answer"].map(|name| text(&branch[name]))
        })
        .collect();
    if !rows.is_empty() {
        lines.push(String::new());
        lines.extend(table::lines(BRANCHES, &rows, reader.width));
    }
    let happened = timeline::lines(view, reader);
    if !happened.is_empty() {
        lines.push(String::new());
        lines.extend(happened);
    }
    lines.join("\n")
}

/// What each branch was asked, and what it has answered.
pub fn calls(view: &Value) -> String {
    let mut lines = Vec::new();
    for branch in elements(&view["branches"]) {
        let (request, answer) = (&branch["request"], &branch["answer"]);
        lines.push(format!("{}:", text(&branch["name"])));
        if request.is_null() {
            lines.push("  nothing is rendered for it, or nothing is kept".to_owned());
        } else {
            lines.push(format!("  asked     POST {}/…", safe(&text(&request["path"]))));
            for header in elements(&request["headers"]) {
                lines.push(format!("            {}: {}", safe(&text(&header[0])), safe(&text(&header[1]))));
            }
            lines.extend(body(&request["body"]).map(|body| format!("            {body}")));
        }
        if !answer.is_null() {
            let status = answer["status"].as_u64().map_or("nothing".to_owned(), |status| status.to_string());
            lines.push(format!("  answered  {status} to {}", text(&answer["operation"])));
            lines.extend(body(&answer["body"]).map(|body| format!("            {body}")));
        }
    }
    lines.join("\n")
}

/// A body on one line; `None` where there is none.
fn body(body: &Value) -> Option<String> {
    let text = body["text"].as_str().filter(|text| !text.is_empty())?;
    let more = if body["cut"] == true { format!(" … of {} bytes", body["size"]) } else { String::new() };
    Some(format!("{}{more}", safe(text)))
}

/// The text without what a terminal would obey: bodies and reasons are other people's.
pub fn safe(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// What came of a retry.
pub fn retry(retried: &Value) -> String {
    let names = |key: &str| elements(&retried[key]).iter().map(text).collect::<Vec<_>>().join(", ");
    let (state, called, under_way) = (text(&retried["state"]), names("called"), names("under_way"));
    let mut lines = vec![format!("{} is {state}", text(&retried["id"]))];
    for (what, names) in [("called now", &called), ("under way already", &under_way)] {
        if !names.is_empty() {
            lines.push(format!("  {what:18} {names}"));
        }
    }
    if called.is_empty() && under_way.is_empty() {
        let why = match state.as_str() {
            "committed" | "rolled-back" => "it has ended",
            _ => "it waits for the disk, or for an operator",
        };
        lines.push(format!("  nothing is owed: {why}"));
    }
    lines.join("\n")
}

fn age_of(view: &Value, reader: Reader) -> String {
    let began = view["began_unix_ms"].as_u64();
    began.map_or_else(String::new, |began| age::spell(reader.now_ms.saturating_sub(began)))
}

fn note(view: &Value) -> String {
    let flags = elements(&view["flags"]).iter().map(text);
    let cause = view["cause"].as_str().map(|cause| match view["branch"].as_str() {
        Some(branch) => format!("{cause} by {branch}"),
        None => cause.to_owned(),
    });
    flags.chain(cause).collect::<Vec<_>>().join(", ")
}

fn verdict(number: &Value) -> String {
    match number.as_i64() {
        Some(1) => "1 (committed)".to_owned(),
        Some(0) => "0 (rolled back)".to_owned(),
        _ => "-1 (not yet known)".to_owned(),
    }
}

pub fn elements(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> String {
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

    const READER: Reader = Reader { now_ms: 1_700_000_200_000, width: Some(80), coloured: false };

    fn view(id: &str, state: &str, stuck: bool) -> Value {
        json!({
            "id": id, "state": state, "mode": "two-phase", "route": "transfer", "verdict": 1,
            "flags": if stuck { vec!["stuck"] } else { vec![] }, "cause": null, "branch": null, "keyed": true, "began_unix_ms": 1_700_000_000_000u64,
            "answer_status": 200,
            "branches": [
                { "name": "debit", "service": "bank-a", "progress": "told", "attempts": 1, "last_answer": "commit: done (200)" },
                { "name": "credit", "service": "bank-b", "progress": "ready", "attempts": 12, "last_answer": "commit: no answer" },
            ],
        })
    }

    #[test]
    fn a_list_is_a_table() {
        let id = "00q3v1c0m4040000000000a5r7";
        let page = json!({ "next": "b", "transactions": [view(id, "committing", true), view("b", "committed", false)] });
        let expected = "\
ID                          STATE              AGE  MODE       ROUTE     NOTE
00q3v1c0m4040000000000a5r7  committing  3 min 20 s  two-phase  transfer  stuck
b                           committed   3 min 20 s  two-phase  transfer
more: --after b";
        assert_eq!(list(&page, READER), expected);
        let narrow = Reader { width: Some(60), ..READER };
        let narrow = list(&page, narrow);
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 60) && !narrow.contains("two-phase"),
            "{narrow}"
        );
        assert!(narrow.contains(id), "{narrow}");
    }

    #[test]
    fn any_list_fits_sixty_columns() {
        let mut widest = view("0a8sd8p0r0000g0000000rq7tm", "rolled-back", true);
        widest["route"] = json!("a-route-of-a-long-name");
        widest["flags"] = json!(["stuck", "heuristic"]);
        let said = list(&json!({ "transactions": [widest] }), Reader { width: Some(60), ..READER });
        assert!(said.lines().all(|line| line.chars().count() <= 60), "{said}");
        assert!(said.contains("0a8sd8p0r0000g0000000rq7tm"), "{said}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(list(&json!({ "transactions": [], "next": null }), READER), "no transactions");
    }

    #[test]
    fn one_transaction_has_its_branches_below() {
        let expected = "\
transaction  a
route        transfer
mode         two-phase
state        committing
verdict      1 (committed)
note         stuck
began        3 min 20 s ago (Tue, 14 Nov 2023 22:13:20 GMT)
keyed        yes: the same key gives the same answer
answer       200, to the client

BRANCH  SERVICE  STANDS  CALLS  LAST ANSWER
debit   bank-a   told        1  commit: done (200)
credit  bank-b   ready      12  commit: no answer";
        assert_eq!(show(&view("a", "committing", true), READER), expected);
    }

    #[test]
    fn what_happened_is_told_line_by_line_with_times_since_the_beginning() {
        let mut shown = view("a", "committing", true);
        let at = |ms: u64| 1_700_000_000_000 + ms;
        shown["timeline"] = json!([
            { "at_unix_ms": at(0), "kind": "begun" },
            { "at_unix_ms": at(1), "kind": "sent", "branch": "debit", "operation": "prepare", "attempt": 1 },
            { "at_unix_ms": at(4), "kind": "answered", "branch": "debit", "operation": "prepare", "outcome": "done", "status": 200 },
            { "at_unix_ms": null, "kind": "verdict", "verdict": 1 },
            { "at_unix_ms": at(9), "kind": "sent", "branch": "credit", "operation": "commit", "attempt": 12 },
            { "at_unix_ms": at(2009), "kind": "answered", "branch": "credit", "operation": "commit", "outcome": "unknown" },
            { "at_unix_ms": at(60_000), "kind": "stuck", "branch": "credit" },
            { "at_unix_ms": at(90_000), "kind": "resolved", "branch": "credit", "resolution": "told", "who": "ann", "why": "paid\u{1b}[2J" },
        ]);
        let expected = "       TIME  WHAT      BRANCH  DETAIL
      +0 ms  begun
      +1 ms  sent      debit   prepare
      +4 ms  answered  debit   prepare: done (200)
          ?  verdict           commit
      +9 ms  sent      credit  commit, attempt 12
       +2 s  answered  credit  commit: no answer
     +1 min  stuck     credit
+1 min 30 s  resolved  credit  told by ann: paid\\u{1b}[2J";
        let said = show(&shown, READER);
        let (_, happened) = said.rsplit_once("\n\n").unwrap();
        assert_eq!(happened, expected);
        let painted = show(&shown, Reader { coloured: true, ..READER });
        assert!(painted.contains("\u{1b}[33m     +1 min  stuck"), "{painted}");
    }

    #[test]
    fn a_retry_says_whom_it_has_called() {
        let retried = |called: &[&str], under_way: &[&str], state| {
            retry(&json!({ "id": "a", "state": state, "called": called, "under_way": under_way }))
        };
        assert_eq!(
            retried(&["debit"], &["credit", "mail"], "committing"),
            "a is committing\n  called now         debit\n  under way already  credit, mail"
        );
        assert_eq!(retried(&[], &[], "committed"), "a is committed\n  nothing is owed: it has ended");
        assert!(retried(&[], &[], "preparing").contains("waits for the disk"));
    }
}
