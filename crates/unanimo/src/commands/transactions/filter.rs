//! Which transactions are meant, as flags.

use super::age;
use std::fmt::Write as _;

/// Which transactions are meant.
#[derive(clap::Args, Default)]
pub struct Filter {
    /// Only those in this state; several with commas
    #[arg(long, value_delimiter = ',', hide_possible_values = true, value_parser = ["initial", "preparing", "committing", "committed", "undoing", "rolled-back"])]
    state: Vec<String>,
    /// Only those with this verdict
    #[arg(long, hide_short_help = true, value_parser = ["commit", "rollback", "none"])]
    verdict: Option<String>,
    /// Only those of this mode
    #[arg(long, hide_short_help = true)]
    mode: Option<String>,
    /// Only those of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Only those in which this service takes part
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only those that began at least so long ago
    #[arg(long, value_name = "AGE", value_parser = age::parse)]
    older: Option<u64>,
    /// Only those that began at most so long ago
    #[arg(long, value_name = "AGE", value_parser = age::parse)]
    younger: Option<u64>,
    /// Only the one of this Idempotency-Key
    #[arg(long, hide_short_help = true, requires = "route")]
    key: Option<String>,
    /// Only those with this in a name or at the id
    #[arg(long)]
    text: Option<String>,
    /// Those that do not end
    #[arg(long)]
    stuck: bool,
    /// Those that ended against the verdict
    #[arg(long)]
    heuristic: bool,
    /// Those with a branch that waits for a verdict
    #[arg(long, hide_short_help = true)]
    in_doubt: bool,
    /// Those that a restore has put in quarantine
    #[arg(long, hide_short_help = true)]
    quarantined: bool,
    /// Those of which some was ended by hand
    #[arg(long, hide_short_help = true)]
    resolved: bool,
}

impl Filter {
    /// The query that asks for them, each part with `&` before it.
    pub fn query(&self) -> String {
        let mut query = String::new();
        let verdict = self.verdict.as_deref().map(|word| match word {
            "commit" => "1",
            "rollback" => "0",
            _ => "-1",
        });
        let flags = [
            ("stuck", self.stuck),
            ("heuristic", self.heuristic),
            ("in-doubt", self.in_doubt),
            ("quarantined", self.quarantined),
            ("resolved", self.resolved),
        ];
        let flags: Vec<&str> =
            flags.into_iter().filter(|(_, wanted)| *wanted).map(|(flag, _)| flag).collect();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        for (name, value) in [
            ("state", self.state.join(",")),
            ("verdict", verdict.unwrap_or_default().to_owned()),
            ("mode", text(&self.mode)),
            ("route", text(&self.route)),
            ("service", text(&self.service)),
            ("min_age_ms", number(self.older)),
            ("max_age_ms", number(self.younger)),
            ("key", text(&self.key)),
            ("text", text(&self.text)),
            ("flag", flags.join(",")),
        ] {
            if !value.is_empty() {
                // Writing to a string does not fail.
                let _ = write!(query, "&{name}={}", super::escaped(&value));
            }
        }
        query
    }
}
