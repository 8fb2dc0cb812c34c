//! `unanimo diff [OLD] NEW`: says what a reload would change.

use crate::commands::check;
use crate::config::{self, Config, Mistake};
use crate::reload::Outline;
use crate::reload::difference::Difference;
use crate::{admin_client, log};
use http::{Method, StatusCode};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Say what a reload would change
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Diff {
    /// OLD and NEW; or NEW alone, against the gateway that runs
    #[arg(value_name = "PATH", num_args = 1..=2, required = true)]
    paths: Vec<PathBuf>,
    /// Where that is asked; else where NEW has its `admin`
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Compares what two configurations mean, not how they are written: comments and
the order of keys change nothing. A route whose plan changes ends what it began
under the old one; a service that goes is kept as retired for as long as what
was begun needs it; what only a restart changes is named as such. Tokens are not
compared.

Example:
  $ unanimo diff new.yaml
  routes
    ~ transfer
        plan  3f0c… → 91ab…  (what was begun ends under its own)
  services
    ~ bank-b
        endpoints  10.0.0.7:80 → 10.0.0.8:80
  $ unanimo diff --json old.yaml new.yaml

Ends with:
  0  they come to the same
  1  they differ
  2  one of them cannot be read or served, or no gateway answers

Read on: docs/operating.md";

/// They differ.
const DIFFERS: u8 = 1;
/// There is nothing to compare.
const FAILED: u8 = 2;

/// Where a gateway is asked that does not say.
const ADMIN: &str = "127.0.0.1:8081";

impl Diff {
    /// Ends with 0 where nothing changes, 1 where something does, 2 where nobody knows.
    pub fn run(self) -> ExitCode {
        match self.compared() {
            Ok(difference) => self.show(&difference),
            Err(failed) => {
                failed.tell();
                ExitCode::from(FAILED)
            }
        }
    }

    fn compared(&self) -> Result<Difference, Failed> {
        let outlines: Vec<_> = self.paths.iter().map(|path| outline(path)).collect::<Result<_, _>>()?;
        match &outlines[..] {
            [(_, new)] => Ok(Difference::between(&self.running(&outlines[0].0)?, new)),
            [(_, old), (_, new), ..] => Ok(Difference::between(old, new)),
            [] => Ok(Difference::default()),
        }
    }

    /// What the gateway that runs serves by.
    fn running(&self, new: &Config) -> Result<Outline, Failed> {
        let named = self.admin.clone().or_else(|| new.admin.map(|admin| admin.to_string()));
        let admin = named.unwrap_or_else(|| ADMIN.to_owned());
        let answer = admin_client::ask(&admin, Method::GET, "/v1/configuration/outline");
        let (status, body) = answer.map_err(|error| Failed::Sentence(error.to_string()))?;
        let outline = serde_json::from_slice(&body).ok().filter(|_| status == StatusCode::OK);
        outline.ok_or_else(|| {
            Failed::Sentence(format!(
                "{admin} answers {status}, and nothing to compare with: is it of another version?"
            ))
        })
    }

    fn show(&self, difference: &Difference) -> ExitCode {
        let mut stdout = io::stdout().lock();
        let coloured = stdout.is_terminal() && !log::wants_no_colour();
        // A closed pipe is the reader's business: the exit code says the same.
        let _ = match self.json {
            true => writeln!(stdout, "{:#}", difference.to_json()),
            false if difference.is_empty() => writeln!(stdout, "the same"),
            false => write!(stdout, "{}", difference.rendered(coloured)),
        };
        if difference.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) }
    }
}

fn outline(path: &Path) -> Result<(Config, Outline), Failed> {
    let loaded = config::load(path).map_err(Failed::Mistakes)?;
    let outline = Outline::of(&loaded.config, &loaded.digest, &loaded.folder);
    Ok((loaded.config, outline))
}

/// Why nothing is compared.
enum Failed {
    Mistakes(Vec<Mistake>),
    Sentence(String),
}

impl Failed {
    fn tell(&self) {
        match self {
            Failed::Mistakes(mistakes) => check::tell(mistakes),
            Failed::Sentence(sentence) => drop(writeln!(io::stderr(), "{sentence}")),
        }
    }
}
