//! An operator's word by hand: what cannot end by itself is ended, and it is kept who said so, and why.

use crate::action::{Action, Notice, Now};
use crate::owner::Owner;
use bytes::Bytes;
use unanimo_contract::Id;
use unanimo_contract::operations::{Refusal, Resolve, Resolved, Wish, Word};
use unanimo_protocol::{Event, Resolution, Unresolvable};

impl Owner {
    /// Ends something by hand, or says why not. Nothing is promised before the record is settled: then
    /// [`Owner::resolved`] says what came of it. `None` where the id is not known.
    pub fn resolve(&mut self, now: Now, id: Id, resolve: &Resolve) -> Option<Result<(), Refusal>> {
        if self.memory.get(id).is_some() {
            return Some(Err(Unresolvable::NotOpen.into()));
        }
        let what = match self.resolvable(id, resolve)? {
            Ok(what) => what,
            Err(refusal) => return Some(Err(refusal)),
        };
        let Resolve { who, why, .. } = resolve.clone();
        let word = Word { who, why, at_unix_ms: now.unix_ms };
        self.with(id, |open| {
            open.word = word.encode();
            open.enqueue(Event::Resolving(what));
        });
        self.drive(now, id);
        Some(Ok(()))
    }

    /// How a transaction stands after a word by hand; `None` where the id is not known.
    pub fn resolved(&self, id: Id) -> Option<Resolved> {
        let view = self.view(id)?;
        Some(Resolved { id, state: view.state, verdict: view.verdict, flags: view.flags })
    }

    fn resolvable(&self, id: Id, resolve: &Resolve) -> Option<Result<Resolution, Refusal>> {
        let open = self.open.get(&id)?;
        // What waits is decided first, and may make the word void: then nobody could be told.
        if open.under_way || !open.queue.is_empty() || self.poisoned {
            return Some(Err(Refusal::Busy));
        }
        let place = |name: &str| open.core.indices().find(|at| &*open.ready.branches[at.at()].name == name);
        let Some(what) = resolve.wish.resolution(place) else {
            return Some(Err(Unresolvable::NoBranch.into()));
        };
        if let Err(why) = open.core.may_resolve(what) {
            return Some(Err(why.into()));
        }
        // A branch that is asked again all the time may acknowledge at any moment: no person is needed yet.
        if matches!(resolve.wish, Wish::Told { .. } | Wish::Choose(_))
            && !open.stuck
            && !open.core.is_quarantined()
        {
            return Some(Err(Refusal::NotStuck));
        }
        Some(Ok(what))
    }

    /// A word by hand was settled.
    pub(crate) fn note_resolved(&mut self, id: Id, resolved: &unanimo_protocol::Resolved) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.resolved = true;
        open.word = Bytes::new();
        let name = |branch: unanimo_contract::BranchIndex| open.ready.branches[branch.at()].name.to_string();
        let branch = resolved.what.branch().map(name);
        // What is in quarantine is not counted as open before it goes on.
        let quarantined = open.core.is_quarantined();
        match resolved.what {
            Resolution::Told(branch) if !quarantined => {
                self.load.told(&open.ready.branches[branch.at()].service);
            }
            Resolution::Choose(_) | Resolution::Release if quarantined => self.weigh(id),
            _ => {}
        }
        match Word::decode(resolved.word.clone()) {
            Ok(word) => {
                let notice = Notice::Resolved { what: resolved.what.as_str(), branch, word };
                self.actions.push_back(Action::Notice { transaction: id, notice });
            }
            Err(error) => unreachable!("{id}: its own word cannot be read: {error}"),
        }
    }
}
