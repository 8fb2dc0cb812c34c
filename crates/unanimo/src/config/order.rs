//! Whom each branch waits for, by `after` and by the answers that its calls name: never itself, by whatever way.

use super::mistake::Notes;
use super::source::Span;

/// Whom a branch waits for, by their places.
pub struct Waits {
    /// Those that `after` names.
    pub after: Vec<u8>,
    /// Where `after` stands.
    pub after_span: Span,
    /// Those whose answers its calls name, and where.
    pub named: Vec<(u8, Span)>,
}

/// One branch waits for another one.
#[derive(Clone, Copy)]
struct Wait {
    by: usize,
    on: usize,
    span: Span,
    is_after: bool,
}

/// Whether every branch can begin one day. A circle is noted, with the way round.
pub fn check(notes: &Notes, names: &[String], waits: &[Waits]) -> bool {
    let all: Vec<Wait> = waits.iter().enumerate().flat_map(|(by, waits)| waits.of(by)).collect();
    let mut held: Vec<usize> = (0..waits.len()).collect();
    let next =
        |held: &[usize], by: usize| all.iter().copied().find(|wait| wait.by == by && held.contains(&wait.on));
    loop {
        let still: Vec<_> = held.iter().copied().filter(|by| next(&held, *by).is_some()).collect();
        if still.len() == held.len() {
            break;
        }
        held = still;
    }
    // Each of them waits for another of them: whoever follows that comes back to where it was.
    let mut way: Vec<Wait> = Vec::new();
    let mut here = held.first().copied();
    while let Some(wait) = here.and_then(|by| next(&held, by)) {
        if let Some(start) = way.iter().position(|before| before.by == wait.by) {
            way.drain(..start);
            break;
        }
        way.push(wait);
        here = Some(wait.on);
    }
    if let Some(first) = way.first() {
        notes.wrong(first.span, spell(names, &way));
    }
    way.is_empty()
}

impl Waits {
    /// Whom the branch waits for, and where that stands.
    pub fn whom(&self) -> impl Iterator<Item = (usize, Span)> {
        self.of(0).map(|wait| (wait.on, wait.span))
    }

    fn of(&self, by: usize) -> impl Iterator<Item = Wait> {
        let after = self.after.iter().map(move |on| Wait {
            by,
            on: usize::from(*on),
            span: self.after_span,
            is_after: true,
        });
        let named = self.named.iter();
        after.chain(named.map(move |(on, span)| Wait {
            by,
            on: usize::from(*on),
            span: *span,
            is_after: false,
        }))
    }
}

/// The way round, in words.
fn spell(names: &[String], way: &[Wait]) -> String {
    let name = |at: usize| names.get(at).map_or("", String::as_str);
    let steps = way.iter().map(|wait| match wait.is_after {
        true => format!("waits for `{}`", name(wait.on)),
        false => format!("waits for the answer of `{}`", name(wait.on)),
    });
    let what = match way.iter().all(|wait| wait.is_after) {
        true => "`after` goes in a circle",
        false => "branches wait in a circle",
    };
    let first = way.first().map_or("", |wait| name(wait.by));
    format!("{what}: `{first}` {}", steps.collect::<Vec<_>>().join(", which "))
}
