//! The clients: each places one order after the other, and stays with each until it knows the truth.

use super::book::{Book, Counts};
use super::clock;
use super::gauge::Gauge;
use super::meaning::{self, Meaning, Told};
use super::wire::{Connection, Lost, Question};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How long a client waits for an answer, before it asks again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client stays with an order; after that, the audit says that it never learned.
const LEARN_MAX: Duration = Duration::from_secs(30);
/// How long asking with every key again may take.
const ASKING_AGAIN_MAX: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Clients at work. Dropped, they stop at once.
pub struct Clients {
    shared: Rc<Shared>,
    tasks: JoinSet<()>,
}

/// A look at the clients from beside.
pub struct Watch(Rc<Shared>);

impl Watch {
    /// Looks at the measurements and the counts as they are now.
    pub fn look(&self, look: impl FnOnce(&mut Gauge, &Counts)) {
        look(&mut self.0.gauge.borrow_mut(), &self.0.book.borrow().counts);
    }
}

struct Shared {
    book: RefCell<Book>,
    gauge: RefCell<Gauge>,
    gateway: SocketAddr,
    /// Whether new orders are placed.
    is_open: Cell<bool>,
    /// The next entry whose key is to be asked again.
    asked_again: Cell<usize>,
}

impl Clients {
    /// So many clients begin to order, and will for so long. On a `LocalSet`.
    pub fn start(gateway: SocketAddr, number: usize, load: Duration) -> Clients {
        let (book, gauge) = (RefCell::default(), RefCell::new(Gauge::new(clock::now(), load)));
        let shared = Shared { book, gauge, gateway, is_open: Cell::new(true), asked_again: Cell::new(0) };
        let mut clients = Clients { shared: Rc::new(shared), tasks: JoinSet::new() };
        for _ in 0..number {
            let shared = clients.shared.clone();
            clients.tasks.spawn_local(async move { shared.place_orders().await });
        }
        clients
    }

    /// Looks into the book, or writes in it.
    pub fn book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.shared.book.borrow_mut())
    }

    /// The measurements and the counts, for whoever looks at them meanwhile.
    pub fn watch(&self) -> Watch {
        Watch(self.shared.clone())
    }

    /// Something was killed now.
    pub fn mark(&self, what: &'static str) {
        self.shared.gauge.borrow_mut().mark(clock::now(), what);
    }

    /// No new orders; waits until every client knows of its last one, or has given up.
    pub async fn finish(&mut self) {
        self.shared.is_open.set(false);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Asks with every key again, by so many clients, until all are answered or there was time enough.
    pub async fn ask_all_again(&mut self, number: usize) {
        for _ in 0..number {
            let shared = self.shared.clone();
            self.tasks.spawn_local(async move { shared.ask_again().await });
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(ASKING_AGAIN_MAX, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

impl Shared {
    async fn place_orders(&self) {
        let mut connection = Connection::to(self.gateway);
        while self.is_open.get() {
            let (at, placed) = (self.book.borrow_mut().open(), clock::now());
            self.learn(&mut connection, at).await;
            let knows = self.book.borrow().entries().get(at).is_some_and(|entry| !entry.told.is_empty());
            if knows {
                let now = clock::now();
                self.gauge.borrow_mut().note(now, now - placed);
            }
        }
    }

    async fn ask_again(&self) {
        let mut connection = Connection::to(self.gateway);
        loop {
            let at = self.asked_again.get();
            self.asked_again.set(at + 1);
            if at >= self.book.borrow().entries().len() {
                return;
            }
            self.learn(&mut connection, at).await;
        }
    }

    /// Asks with the order's key until the truth is told, and writes down whatever is told.
    async fn learn(&self, connection: &mut Connection, at: usize) {
        let Some((question, mut patience)) = self.question(at) else { return };
        let latest = clock::now() + LEARN_MAX;
        let mut pause = PAUSE_FIRST;
        while clock::now() < latest {
            let heard = connection.ask(&question, patience).await;
            patience = PATIENCE;
            match heard.map(|answer| meaning::of_order(&answer)) {
                Ok(Meaning::Told(told)) => return self.book.borrow_mut().tell(at, told),
                Ok(Meaning::Odd(what)) => return self.book.borrow_mut().wonder(at, what),
                Ok(Meaning::Accepted { transaction, location }) => {
                    self.book.borrow_mut().accept(at, transaction);
                    match look_at(connection, &location, latest).await {
                        Ok(Some(told)) => self.book.borrow_mut().tell(at, told),
                        Ok(None) => {}
                        Err(what) => self.book.borrow_mut().wonder(at, what),
                    }
                    return;
                }
                Ok(Meaning::AskAgain) | Err(Lost::NotSent) => {}
                Err(Lost::Unanswered) => self.book.borrow_mut().lose(at),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// What is asked, and how long the first answer is waited for.
    fn question(&self, at: usize) -> Option<(Question, Duration)> {
        let book = self.book.borrow();
        let entry = book.entries().get(at)?;
        let knows = !entry.told.is_empty();
        let patience = entry.order.hangs_up_after().filter(|_| !knows);
        Some((entry.order.question(), patience.unwrap_or(PATIENCE)))
    }
}

/// Looks at a status address until the truth stands there; `None` where it never did. The error is an answer that
/// nobody should hear.
async fn look_at(
    connection: &mut Connection,
    location: &str,
    latest: Instant,
) -> Result<Option<Told>, String> {
    let question = Question::get(location);
    let mut pause = PAUSE_FIRST;
    while clock::now() < latest {
        match connection.ask(&question, PATIENCE).await.map(|answer| meaning::of_status(&answer)) {
            Ok(Meaning::Told(told)) => return Ok(Some(told)),
            Ok(Meaning::Odd(what)) => return Err(what),
            // A look that fails is no loss: the address stays.
            Ok(Meaning::Accepted { .. } | Meaning::AskAgain) | Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(None)
}
