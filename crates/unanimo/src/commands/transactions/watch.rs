//! `watch`: what happens, as it happens.

use super::said::{Reader, elements, safe, text};
use super::{age, fail, timeline};
use crate::admin_client::{self, Followed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

/// Follows a stream until it ends, or nobody reads what is written.
pub fn run(admin: &str, path: &str, reader: Reader, json: bool) -> ExitCode {
    let mut watcher = Watcher { reader, json, known: BTreeSet::new(), ended: false };
    loop {
        // One that lagged looks anew, from where things are then.
        match admin_client::follow(admin, path, |event, data| watcher.hear(event, data)) {
            Ok(Followed::Refused(answer)) => {
                return fail(1, answer["detail"].as_str().unwrap_or("the admin listener refused to answer"));
            }
            Ok(Followed::Stopped) => return ExitCode::SUCCESS,
            Ok(Followed::Ended) if watcher.ended => return ExitCode::SUCCESS,
            Ok(Followed::Ended) if watcher.lagged() => {}
            Ok(Followed::Ended) => return fail(3, "the gateway has ended the stream; is it still running?"),
            Err(error) => return fail(3, &error.to_string()),
        }
    }
}

struct Watcher {
    reader: Reader,
    json: bool,
    /// Moments that were told of already: a stream of one transaction begins with all that is known of it.
    known: BTreeSet<String>,
    ended: bool,
}

impl Watcher {
    /// Tells of one event; false where nobody reads.
    fn hear(&mut self, event: &str, data: &Value) -> bool {
        match event {
            "transaction" => {
                self.known.extend(elements(&data["timeline"]).iter().map(Value::to_string));
                self.ended = data["ended_unix_ms"].is_u64() || is_ended(data);
                if self.json {
                    return said(&data.to_string());
                }
                said(&super::said::show(data, self.reader))
            }
            "change" => {
                if self.known.remove(&data["moment"].to_string()) {
                    return true;
                }
                self.ended = data["moment"]["kind"] == "ended";
                said(&if self.json { data.to_string() } else { line(data, self.reader) })
            }
            "lagged" => {
                self.known = BTreeSet::from(["lagged".to_owned()]);
                let missed = text(&data["missed"]);
                // What is told to people does not stand between documents.
                let _ = writeln!(io::stderr(), "… {missed} more happened than could be shown");
                true
            }
            _ => true,
        }
    }

    fn lagged(&mut self) -> bool {
        self.known.remove("lagged")
    }
}

fn is_ended(view: &Value) -> bool {
    view["state"] == "committed" || view["state"] == "rolled-back"
}

/// One change: when, which, and what.
fn line(change: &Value, reader: Reader) -> String {
    let moment = &change["moment"];
    let at = moment["at_unix_ms"].as_u64().map_or_else(|| " ".repeat(12), age::clock);
    let (id, route) = (text(&change["id"]), safe(&text(&change["route"])));
    let line = format!("{at}  {id}  {route}  {:11}  {}", text(&change["state"]), timeline::sentence(moment));
    reader.paint(&line, timeline::tone(moment))
}

fn said(text: &str) -> bool {
    let mut out = io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}
