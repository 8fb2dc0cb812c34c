//! `unanimo doctor PATH`: looks at the machine as this configuration would use it, and says what to do.
//!
//! It only looks: nothing is made but one small file, whose syncs are measured and which is removed, and it may run
//! beside a gateway that serves.

mod files;
mod finding;
mod inquiries;
mod journal;
mod listeners;
mod proc;
mod reach;
mod screen;
mod services;
mod sync;
mod wall;

use crate::commands::check;
use crate::commands::units;
use crate::config::{self, Config, Loaded, Mistake};
use finding::{Check, Finding, Judgement};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// See whether this machine can serve a configuration
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Doctor {
    /// A configuration file, or a folder whose `*.yaml` are read together
    path: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Looks at the journal's directory, its disk and how long a sync takes, at ports,
file limits and the clock, and whether services can be reached. Run it as the
user that serves; a gateway may serve meanwhile. It changes nothing: one small
file is written beside the journal, to measure, and removed.

Example:
  $ unanimo doctor gateway.yaml
  gateway.yaml, seen by root; no gateway runs

  ✓ configuration        1 route, 2 services, 2 tokens
  ✓ journal-directory    data/journal will be made in data
  ✓ journal-file-system  keeps what is synced
  ✓ journal-space        38 GiB free
  ✓ journal-sync         0.40 ms, 1.1 ms at p99: at least 0.80 ms a transaction
  ✓ listener             public 127.0.0.1:8080 is free
  ! open-files           1,024, and 26,198 may be wanted at a time
                         → `LimitNOFILE=26198`, or `ulimit -n 26198` in a shell
  ✓ clock                Sat, 21 Nov 2026 21:02:11 GMT
  ✓ service              bank-a accepts connections, in 0.20 ms
  ✗ service              bank-b: 127.0.0.1:7002 refuses connections
                         → start it, or correct its `endpoints`

  8 ok, 1 warning, 1 failure; docs/doctor.md explains each

Ends with:
  0  it can serve; there may be warnings
  1  it cannot, or not all that it should
  2  the configuration cannot be read

Read on: docs/doctor.md; `unanimo check` for the configuration alone";

/// Something is in the way.
const FAILED: u8 = 1;
/// The file cannot be read at all.
const UNREADABLE: u8 = 2;

impl Doctor {
    /// Ends with 0 where it can be served, 1 where something is in the way, 2 where the file cannot be read.
    pub fn run(self) -> ExitCode {
        let source = match config::read(&self.path) {
            Ok(source) => source,
            Err(mistake) => {
                check::tell(&[mistake]);
                return ExitCode::from(UNREADABLE);
            }
        };
        match config::parse(&source) {
            Ok(loaded) => {
                let gateway = proc::owner_of(&loaded.config.journal.directory);
                let findings = examine(&loaded, gateway.as_ref());
                self.tell(&findings, gateway.as_ref())
            }
            Err(mistakes) if self.json => {
                self.tell(&mistakes.iter().map(in_the_file).collect::<Vec<_>>(), None)
            }
            // Where there is no configuration there is nothing to look at, and the places tell more than a table.
            Err(mistakes) => {
                check::tell(&mistakes);
                let _ = writeln!(io::stderr(), "{}: correct it, and ask again", self.path.display());
                ExitCode::from(FAILED)
            }
        }
    }

    fn tell(&self, findings: &[Finding], gateway: Option<&proc::Process>) -> ExitCode {
        let worst = findings.iter().map(|finding| finding.judgement).max().unwrap_or(Judgement::Ok);
        let path = self.path.display().to_string();
        let text = if self.json {
            let said = json!({
                "configuration": path,
                "judgement": worst.as_str(),
                "gateway": gateway.map(|process| process.pid),
                "checks": findings.iter().map(Finding::as_json).collect::<Vec<_>>(),
            });
            format!("{said:#}")
        } else {
            let runs = gateway.map_or_else(
                || "no gateway runs".to_owned(),
                |process| format!("its gateway runs as process {}", process.pid),
            );
            let head = format!("{path}, seen by {}; {runs}", proc::myself());
            screen::Screen::of_terminal().draw(&head, findings)
        };
        // A closed pipe is the reader's business: the exit code says the same.
        let _ = writeln!(io::stdout(), "{text}");
        if worst == Judgement::Fail { ExitCode::from(FAILED) } else { ExitCode::SUCCESS }
    }
}

/// Every check, in the order in which they are told.
fn examine(loaded: &Loaded, gateway: Option<&proc::Process>) -> Vec<Finding> {
    let config = &loaded.config;
    if io::stderr().is_terminal() {
        // Measuring and connecting may take seconds.
        let _ = write!(io::stderr(), "looking …");
    }
    let mut findings = vec![readable(config)];
    findings.extend(loaded.warnings.iter().map(in_the_file));
    findings.extend(journal::examine(&config.journal, &config.history));
    findings.extend(listeners::examine(config, gateway));
    findings.push(files::examine(config, gateway));
    findings.push(wall::examine());
    findings.extend(reach::block_on(async {
        let mut findings = services::examine(&config.upstream).await;
        findings.extend(inquiries::examine(config, gateway.is_some()).await);
        findings
    }));
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    findings
}

fn readable(config: &Config) -> Finding {
    let services = config.upstream.services.values();
    let tokens = services.filter(|it| matches!(it.credential, unanimo_upstream::Credential::Bearer(_)));
    let mut said = vec![
        units::counted(config.gateway.routes.len(), "route"),
        units::counted(config.upstream.services.len(), "service"),
    ];
    match tokens.count() {
        0 => {}
        tokens => said.push(units::counted(tokens, "token")),
    }
    Finding::ok(Check::Configuration, said.join(", "))
}

/// What the configuration's own reader has found.
fn in_the_file(mistake: &Mistake) -> Finding {
    let said = match &mistake.place {
        Some(place) => {
            format!("{}:{}:{}: {}", place.file.display(), place.line, place.column, mistake.message)
        }
        None => mistake.message.clone(),
    };
    let advice = mistake.help.clone().unwrap_or_else(|| "correct the file".to_owned());
    match mistake.is_error() {
        true => Finding::fail(Check::Configuration, said, advice),
        false => Finding::warn(Check::Configuration, said, advice),
    }
}
