//! Audit: what the databases say, read from outside. It changes nothing and asks no service, so that it tells the truth
//! about a crash, too. Read when nothing is under way; otherwise the four files are of different moments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::Service;

/// What one service's database says.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whose database this is.
    pub service: Service,
    /// The transactions whose effect is final here.
    pub standing: BTreeSet<String>,
    /// The transactions that are held here, and wait for their verdict.
    pub pending: BTreeSet<String>,
    /// Where the money (cents) or the stock (pieces) is; orders and notifications have none.
    pub total: Option<Total>,
    /// Messages that are confirmed and not yet known to be sent; 0 in the other services.
    pub unsent: i64,
    /// What does not fit together within this database, each in a sentence. Empty is right.
    pub flaws: Vec<String>,
}

/// Where everything that was there at the first start is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// What there was.
    pub seeded: i64,
    /// What anybody may have.
    pub free: i64,
    /// What is frozen or reserved for a transaction without a verdict.
    pub held: i64,
    /// What was paid or shipped.
    pub taken: i64,
}

impl Total {
    /// Nothing was lost, and nothing came from nowhere.
    pub fn conserved(&self) -> bool {
        self.seeded == self.free + self.held + self.taken
    }
}

/// What the four databases say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Final everywhere.
    pub complete: BTreeSet<String>,
    /// Held somewhere, and contradicted nowhere: the verdict has not arrived everywhere.
    pub unfinished: BTreeSet<String>,
    /// Final in the services named, and neither final nor held in the others: this must never be.
    pub torn: BTreeMap<String, BTreeSet<Service>>,
}

/// (transaction, branch).
type Branch = (String, String);

/// The queries of one service. The first three give (transaction, branch), the last gives the four numbers of `Total`.
struct Queries {
    standing: &'static str,
    pending: &'static str,
    total: Option<&'static str>,
    flaws: &'static [(&'static str, &'static str)],
}

const ORDER: Queries = Queries {
    standing: "SELECT transaction_id, branch FROM orders WHERE state = 'confirmed'",
    pending: "SELECT transaction_id, branch FROM orders WHERE state = 'pending'",
    total: None,
    flaws: &[],
};

const PAYMENT: Queries = Queries {
    standing: "SELECT transaction_id, branch FROM ledger",
    pending: "SELECT transaction_id, branch FROM holds",
    total: Some(
        "SELECT ifnull(sum(seeded_cents), 0), ifnull(sum(free_cents), 0), ifnull(sum(frozen_cents), 0),
                (SELECT ifnull(sum(amount_cents), 0) FROM ledger) FROM accounts",
    ),
    flaws: &[(
        "the frozen money of an account is not the sum of its holds",
        "SELECT count(*) FROM accounts AS a WHERE frozen_cents !=
             (SELECT ifnull(sum(amount_cents), 0) FROM holds AS h WHERE h.account = a.account)",
    )],
};

const SHIPPING: Queries = Queries {
    standing: "SELECT transaction_id, branch FROM shipments",
    pending: "SELECT transaction_id, branch FROM reservations",
    total: Some(
        "SELECT ifnull(sum(seeded), 0), ifnull(sum(free), 0), ifnull(sum(reserved), 0),
                (SELECT ifnull(sum(quantity), 0) FROM shipments) FROM stock",
    ),
    flaws: &[(
        "the reserved stock of a sku is not the sum of its reservations",
        "SELECT count(*) FROM stock AS s WHERE reserved !=
             (SELECT ifnull(sum(quantity), 0) FROM reservations AS r WHERE r.sku = s.sku)",
    )],
};

const UNSENT: &str = "SELECT count(*) FROM messages WHERE state = 'waiting'";

const NOTIFICATION: Queries = Queries {
    standing: "SELECT transaction_id, branch FROM messages WHERE state != 'wish'",
    pending: "SELECT transaction_id, branch FROM messages WHERE state = 'wish'",
    total: None,
    flaws: &[("a message is parked", "SELECT count(*) FROM messages WHERE state = 'parked'")],
};

/// Reads one service's database, all at one moment.
pub fn read(service: Service, database: &Path) -> rusqlite::Result<Facts> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(database, flags)?;
    let moment = connection.transaction()?;
    let queries = match service {
        Service::Order => ORDER,
        Service::Payment => PAYMENT,
        Service::Shipping => SHIPPING,
        Service::Notification => NOTIFICATION,
    };
    let standing = branches(&moment, queries.standing)?;
    let pending = branches(&moment, queries.pending)?;
    let total = queries.total.map(|sql| total(&moment, sql)).transpose()?;
    let unsent = match service {
        Service::Notification => count(&moment, UNSENT)?,
        _ => 0,
    };

    let mut flaws = Vec::new();
    let marks = marks(&moment)?;
    for (mark, rows) in [("confirmed", &standing), ("held", &pending)] {
        let without_effect = marks.iter().filter(|(branch, state)| *state == mark && !rows.contains(branch));
        // A mark may have been cleaned away since, but never one that is held.
        let without_mark =
            |branch: &&Branch| marks.get(*branch).map_or(mark == "held", |state| state != mark);
        for (transaction, branch) in
            without_effect.map(|(branch, _)| branch).chain(rows.iter().filter(without_mark))
        {
            flaws.push(format!("{transaction}/{branch}: the mark and the effect disagree on '{mark}'"));
        }
    }
    if total.is_some_and(|total| !total.conserved()) {
        flaws.push(format!("the total is not conserved: {total:?}"));
    }
    for (flaw, sql) in queries.flaws {
        if count(&moment, sql)? > 0 {
            flaws.push((*flaw).to_owned());
        }
    }
    let transactions =
        |branches: BTreeSet<(String, String)>| branches.into_iter().map(|(id, _)| id).collect();
    Ok(Facts {
        service,
        standing: transactions(standing),
        pending: transactions(pending),
        total,
        unsent,
        flaws,
    })
}

/// Says of every transaction whether it ended the same way in all these services.
pub fn compare(services: &[Facts]) -> Comparison {
    let mut comparison = Comparison::default();
    let known: BTreeSet<_> = services.iter().flat_map(|facts| facts.standing.union(&facts.pending)).collect();
    for transaction in known {
        let standing = services.iter().filter(|facts| facts.standing.contains(transaction));
        let standing: BTreeSet<_> = standing.map(|facts| facts.service).collect();
        let pending = services.iter().filter(|facts| facts.pending.contains(transaction)).count();
        if standing.len() == services.len() {
            comparison.complete.insert(transaction.clone());
        } else if standing.is_empty() || standing.len() + pending == services.len() {
            comparison.unfinished.insert(transaction.clone());
        } else {
            comparison.torn.insert(transaction.clone(), standing);
        }
    }
    comparison
}

fn marks(connection: &Connection) -> rusqlite::Result<BTreeMap<Branch, String>> {
    connection
        .prepare("SELECT transaction_id, branch, state FROM marks")?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect()
}

fn branches(connection: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<Branch>> {
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn count(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

fn total(connection: &Connection, sql: &str) -> rusqlite::Result<Total> {
    connection.query_row(sql, [], |row| {
        Ok(Total { seeded: row.get(0)?, free: row.get(1)?, held: row.get(2)?, taken: row.get(3)? })
    })
}
