//! `unanimo shop SERVICE`: the program runs itself as one service of the demonstration's shop.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use unanimo_shop::{Options, Service};

/// Run one service of the demonstration's shop
#[derive(clap::Args)]
pub struct Shop {
    /// `order`, `payment`, `shipping` or `notification`
    service: Service,
    /// The SQLite file; made when it does not exist
    #[arg(long, value_name = "FILE")]
    database: PathBuf,
    /// Where to listen
    #[arg(long)]
    address: SocketAddr,
    /// The file that holds the bearer token of every call
    #[arg(long, value_name = "FILE")]
    credential_file: PathBuf,
    /// The mail server, which the notification service needs
    #[arg(long, value_name = "ADDRESS")]
    smtp: Option<SocketAddr>,
}

impl Shop {
    /// Serves until the process is ended; ends with 3 where that fails.
    pub fn run(self) -> ExitCode {
        let credential = match fs::read_to_string(&self.credential_file) {
            Ok(text) => text.trim().to_owned(),
            Err(error) => {
                return fail(&format!("{} cannot be read: {error}", self.credential_file.display()));
            }
        };
        let options = Options { smtp: self.smtp, ..Options::new(self.database, self.address, credential) };
        match unanimo_shop::run(self.service, options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        }
    }
}

fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::from(3)
}
