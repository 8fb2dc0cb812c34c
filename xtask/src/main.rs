//! The project's own tasks, as a program instead of a pile of scripts.
//!
//! **Owns** what must hold before a change may land (`check`), how it is tested (`test`), the rules that no compiler
//! knows (`tidy`), and what is given away (`dist`).
//! **Never** a rule about the product itself: those are tests beside the code.
//! **Read next** `check.rs` for the list of steps, `tidy/mod.rs` for the list of rules.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task speaks to the terminal")]

mod bench;
mod check;
mod clock;
mod command;
mod dist;
mod steps;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK
  check   format, tidy, clippy, docs, licences: all that must hold; writes nothing in the source tree
  fix     what a machine can put right: format, clippy's suggestions
  tidy    the project's own rules alone, with warnings
  test    every test, then a hundred thousand simulated worlds; ends with `N passed, N failed`
  bench [NAME…] [--markdown] [--quick]
          what it costs: tables, and target/bench/NAME.json; `bench --help` lists the names
  dist [--out DIRECTORY] [--program FILE]
          what is given away: static programs, Debian packages, what is in them; into target/dist";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match (task.as_deref(), rest.is_empty()) {
        (Some("check"), true) => check::check(),
        (Some("fix"), true) => check::fix(),
        (Some("tidy"), true) => tidy::main(),
        (Some("test"), true) => test::main(),
        (Some("bench"), _) => bench::main(&rest),
        (Some("dist"), _) => dist::main(&rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
