//! What a check has found, and its judgement.

use serde_json::{Value, json};

/// Every check. The names are stable: `docs/doctor.md` has a paragraph for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The files, and the tokens that they name.
    Configuration,
    /// Whether the journal's directory is there, whose it is, and who may write in it.
    JournalDirectory,
    /// Whether what is synced is kept.
    JournalFileSystem,
    /// Whether the disk holds what the journal may come to.
    JournalSpace,
    /// How long a sync takes.
    JournalSync,
    /// Whether an address can be listened on.
    Listener,
    /// How many files and sockets the process may have.
    OpenFiles,
    /// What time the machine believes it is.
    Clock,
    /// Whether a service's endpoints accept connections.
    Service,
    /// Whether participants reach the address that they are told to ask at.
    InquiryAddress,
}

impl Check {
    /// Its name, everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Check::Configuration => "configuration",
            Check::JournalDirectory => "journal-directory",
            Check::JournalFileSystem => "journal-file-system",
            Check::JournalSpace => "journal-space",
            Check::JournalSync => "journal-sync",
            Check::Listener => "listener",
            Check::OpenFiles => "open-files",
            Check::Clock => "clock",
            Check::Service => "service",
            Check::InquiryAddress => "inquiry-address",
        }
    }
}

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// As it should be.
    Ok,
    /// It can be served, and somebody should know.
    Warn,
    /// It cannot be served, or not all of it.
    Fail,
}

impl Judgement {
    /// Its word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Judgement::Ok => "ok",
            Judgement::Warn => "warn",
            Judgement::Fail => "fail",
        }
    }
}

/// What one check has found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// How bad it is.
    pub judgement: Judgement,
    /// What was seen.
    pub said: String,
    /// What to do about it; always there where it is not ok.
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: Check, said: impl Into<String>) -> Finding {
        Finding { check, judgement: Judgement::Ok, said: said.into(), advice: None }
    }

    /// Somebody should know.
    pub fn warn(check: Check, said: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, judgement: Judgement::Warn, said: said.into(), advice: Some(advice.into()) }
    }

    /// In the way.
    pub fn fail(check: Check, said: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, judgement: Judgement::Fail, said: said.into(), advice: Some(advice.into()) }
    }

    /// As scripts read it.
    pub fn as_json(&self) -> Value {
        json!({
            "check": self.check.as_str(),
            "judgement": self.judgement.as_str(),
            "said": self.said,
            "advice": self.advice,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Check::*;

    #[test]
    fn every_check_has_a_paragraph_in_the_documentation_and_no_other_has() {
        let page = include_str!("../../../../../docs/doctor.md");
        let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## `")).collect();
        let all = [
            Configuration,
            JournalDirectory,
            JournalFileSystem,
            JournalSpace,
            JournalSync,
            Listener,
            OpenFiles,
            Clock,
            Service,
            InquiryAddress,
        ];
        assert_eq!(headings, all.map(|check| format!("{}`", check.as_str())));
    }
}
