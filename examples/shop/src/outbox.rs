//! The outbox: sends what was confirmed, **at least once**.
//!
//! A mail server and a database cannot commit together. A crash between the server's "250" and our mark `sent` sends
//! the message again, under the same Message-ID, by which the reader's side can drop the repeat. The other order, mark
//! first, would lose mail instead.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{Message, SmtpTransport, Transport};
use rusqlite::{Connection, params};

use crate::database::Database;

const LETTERS_AT_ONCE_MAX: u32 = 32;
const IDLE_INTERVAL: Duration = Duration::from_millis(50);
const SMTP_TIMEOUT: Duration = Duration::from_secs(5);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// About three days at the longest backoff.
const ATTEMPTS_MAX: u32 = 10_000;

struct Letter {
    transaction: String,
    address: String,
    text: String,
    attempts: u32,
}

enum Fate {
    Sent,
    /// To be tried again.
    Delayed,
    /// Trying again is of no use: the mail server said no for good, or the tries are used up.
    Parked,
}

/// Sends what waits, for ever. The caller's runtime stays free: SMTP blocks on a thread of its own.
pub(crate) async fn send_for_ever(database: &Database, server: SocketAddr) {
    let transport = SmtpTransport::builder_dangerous(server.ip().to_string())
        .port(server.port())
        .timeout(Some(SMTP_TIMEOUT))
        .build();
    loop {
        let letters = database.run(due).await.unwrap_or_default();
        if letters.is_empty() {
            tokio::time::sleep(IDLE_INTERVAL).await;
            continue;
        }
        let transport = transport.clone();
        let sending = tokio::task::spawn_blocking(move || send_all(&transport, letters));
        let Ok(sent) = sending.await else { continue };
        // If this fails, the letters are still due, and go out again.
        let _ = database.run(move |connection| record(connection, &sent)).await;
    }
}

fn due(connection: &mut Connection) -> rusqlite::Result<Vec<Letter>> {
    let mut query = connection.prepare_cached(
        "SELECT transaction_id, address, text, attempts FROM messages
         WHERE state = 'waiting' AND due_at <= unixepoch('subsec') ORDER BY due_at LIMIT ?1",
    )?;
    let letters = query.query_map([LETTERS_AT_ONCE_MAX], |row| {
        Ok(Letter {
            transaction: row.get(0)?,
            address: row.get(1)?,
            text: row.get(2)?,
            attempts: row.get(3)?,
        })
    })?;
    letters.collect()
}

/// Sends them side by side: most of the time that a letter takes is waiting.
fn send_all(transport: &SmtpTransport, letters: Vec<Letter>) -> Vec<(Fate, Letter)> {
    let fates: Vec<_> = std::thread::scope(|scope| {
        let sending: Vec<_> = letters.iter().map(|letter| scope.spawn(|| send(transport, letter))).collect();
        // After a panic nobody knows whether the letter went out: it is tried again.
        sending.into_iter().map(|fate| fate.join().unwrap_or(Fate::Delayed)).collect()
    });
    fates.into_iter().zip(letters).collect()
}

fn send(transport: &SmtpTransport, letter: &Letter) -> Fate {
    let Some(message) = compose(letter) else { return Fate::Parked };
    match transport.send(&message) {
        Ok(_) => Fate::Sent,
        Err(error) if error.is_permanent() || letter.attempts >= ATTEMPTS_MAX => Fate::Parked,
        Err(_) => Fate::Delayed,
    }
}

fn compose(letter: &Letter) -> Option<Message> {
    Message::builder()
        .message_id(Some(format!("<{}@shop.example>", letter.transaction)))
        .from(Mailbox::new(Some("The shop".to_owned()), "orders@shop.example".parse().ok()?))
        .to(Mailbox::new(None, letter.address.parse().ok()?))
        .subject("Your order")
        .body(letter.text.clone())
        .ok()
}

fn record(connection: &mut Connection, sent: &[(Fate, Letter)]) -> rusqlite::Result<()> {
    let local = connection.transaction()?;
    for (fate, letter) in sent {
        let state = match fate {
            Fate::Sent => "sent",
            Fate::Delayed => "waiting",
            Fate::Parked => "parked",
        };
        local
            .prepare_cached(
                "UPDATE messages SET state = ?2, attempts = attempts + 1, due_at = unixepoch('subsec') + ?3
                 WHERE transaction_id = ?1",
            )?
            .execute(params![letter.transaction, state, backoff(letter.attempts).as_secs_f64()])?;
    }
    local.commit()
}

fn backoff(attempts: u32) -> Duration {
    BACKOFF_FIRST.saturating_mul(1 << attempts.min(16)).min(BACKOFF_MAX)
}
