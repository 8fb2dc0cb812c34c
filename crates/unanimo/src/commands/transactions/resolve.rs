//! `resolve`: what cannot end by itself is ended by hand, after a second look.

use super::said::{self, Reader, safe, text};
use super::{escaped, fail};
use http::Method;
use serde_json::{Value, json};
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Resolve {
    /// The transaction's id: 26 characters
    id: String,
    #[command(flatten)]
    what: What,
    /// Who says so; else your login name
    #[arg(long)]
    who: Option<String>,
    /// Why, for whoever looks later
    #[arg(long)]
    why: Option<String>,
    /// Do not ask again. For scripts
    #[arg(long, requires_all = ["who", "why"])]
    yes: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Sign off this branch's end against the verdict
    #[arg(long, value_name = "NAME")]
    sign_off: Option<String>,
    /// This branch was brought to the verdict
    #[arg(long, value_name = "NAME")]
    told: Option<String>,
    /// A quarantined transaction is committed
    #[arg(long)]
    commit: bool,
    /// A quarantined transaction is rolled back
    #[arg(long)]
    rollback: bool,
    /// A quarantined transaction tells its verdict
    #[arg(long)]
    release: bool,
}

impl What {
    /// The word, and the branch.
    fn said(&self) -> (&'static str, Option<&str>) {
        match (&self.sign_off, &self.told) {
            (Some(branch), _) => ("sign-off", Some(branch)),
            (_, Some(branch)) => ("told", Some(branch)),
            _ if self.commit => ("commit", None),
            _ if self.rollback => ("rollback", None),
            _ => ("release", None),
        }
    }
}

impl Resolve {
    pub fn run(&self, admin: &str, reader: Reader, json: bool) -> ExitCode {
        let (what, branch) = self.what.said();
        let path = format!("/v1/transactions/{}", escaped(&self.id));
        let (who, why) = if self.yes {
            (self.who.clone().unwrap_or_default(), self.why.clone().unwrap_or_default())
        } else {
            let view = match super::asked(admin, Method::GET, &path, None) {
                Ok(view) => view,
                Err(code) => return code,
            };
            match self.confirm(&view, what, branch, reader) {
                Ok(said) => said,
                Err(why) => return fail(1, &why),
            }
        };
        let wish = json!({ "what": what, "branch": branch, "who": who, "why": why }).to_string();
        match super::asked(admin, Method::POST, &format!("{path}/resolve"), Some(wish)) {
            Ok(resolved) => {
                let told = if json { format!("{resolved:#}") } else { done(&resolved) };
                // A closed pipe is the reader's business.
                let _ = writeln!(io::stdout(), "{told}");
                ExitCode::SUCCESS
            }
            Err(code) => code,
        }
    }

    /// Shows what will be done, and asks for the id again; gives back who and why.
    fn confirm(
        &self,
        view: &Value,
        what: &str,
        branch: Option<&str>,
        reader: Reader,
    ) -> Result<(String, String), String> {
        if !io::stdin().is_terminal() {
            return Err("nobody is there to be asked again: use --yes with --who and --why".to_owned());
        }
        let login = || ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
        let mut err = io::stderr();
        let show = format!("{}\n\n{}\n", said::show(view, reader), consequence(view, what, branch));
        let _ = writeln!(err, "{show}");
        let who = match self.who.clone().or_else(login) {
            Some(who) => who,
            None => ask("who are you? ")?,
        };
        let why = match &self.why {
            Some(why) => why.clone(),
            None => ask("why? ")?,
        };
        if ask("to go on, type the transaction's id: ")? != text(&view["id"]) {
            return Err("that is not its id: nothing was changed".to_owned());
        }
        Ok((who, why))
    }
}

fn ask(question: &str) -> Result<String, String> {
    let mut err = io::stderr();
    let _ = write!(err, "{question}").and_then(|()| err.flush());
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => Err("no answer: nothing was changed".to_owned()),
        Ok(_) => Ok(line.trim().to_owned()),
    }
}

/// What will be done, in a sentence or two.
fn consequence(view: &Value, what: &str, branch: Option<&str>) -> String {
    let branch = safe(branch.unwrap_or_default());
    let verdict = if view["verdict"] == 1 { "committed" } else { "rolled back" };
    match what {
        "sign-off" => format!(
            "The end of branch {branch} against the verdict is signed off. Nothing is sent to it. With the last\n\
             branch that is over the transaction ends; its client goes on hearing `heuristic`."
        ),
        "told" => format!(
            "Branch {branch} counts as {verdict} from now on, and is told nothing more. If that is not true, nobody\n\
             will find out by itself."
        ),
        "commit" => "The transaction is committed, for ever: every branch is told so. If the journal that was lost has\n\
             rolled it back, its branches will differ."
            .to_owned(),
        "rollback" => "The transaction is rolled back, for ever: every branch is told so. If the journal that was lost\n\
             has committed it, its branches will differ, and its client was told of a success."
            .to_owned(),
        _ => format!("The transaction is {verdict}: its branches are told so until each has acknowledged it."),
    }
}

fn done(resolved: &Value) -> String {
    format!("{} is {}", text(&resolved["id"]), text(&resolved["state"]))
}
