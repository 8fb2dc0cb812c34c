//! Services that the configuration no longer has, and that something begun still needs: they are kept as retired.

use crate::config::Config;
use crate::reload::memory::{Memory, Remembered, Services, participants};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use unanimo_upstream::ServiceConfig;

/// Services, and how many open transactions name each.
pub type Needed = BTreeMap<Arc<str>, usize>;

/// Keeps retired services, and remembers all that transactions may need.
#[derive(Debug)]
pub struct Keeper {
    memory: Memory,
    /// Those that the configuration says of participants.
    configured: BTreeMap<String, Kept>,
    retired: BTreeMap<String, Kept>,
    /// Those that cannot be called: why, and what is remembered of them, if anything.
    lost: BTreeMap<String, (String, Option<Remembered>)>,
}

/// A service as it was last configured.
#[derive(Clone, Debug)]
struct Kept {
    config: ServiceConfig,
    remembered: Remembered,
}

/// A retired service, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Where it is.
    pub endpoints: Vec<String>,
    /// How many open transactions need it.
    pub transactions: usize,
    /// Why it cannot be called, where that is so: what needs it is stuck.
    pub unreachable: Option<String>,
}

impl Keeper {
    /// At a start, with what replay has found open.
    pub fn start(memory: Memory, config: &Config, needed: &Needed) -> io::Result<Keeper> {
        let remembered = memory.read();
        let mut keeper =
            Keeper { memory, configured: BTreeMap::new(), retired: BTreeMap::new(), lost: BTreeMap::new() };
        for name in needed.keys().filter(|name| !config.upstream.services.contains_key(&***name)) {
            let known = remembered.get(&**name).cloned();
            let why = "no configuration that had it is remembered".to_owned();
            keeper.lost.insert(name.to_string(), (why, known));
        }
        keeper.follow(config)?;
        Ok(keeper)
    }

    /// Another configuration will be in force: what its predecessor had and it lacks is retired. Remembered before
    /// anything else happens, so that nothing is begun that a later start could not end.
    pub fn follow(&mut self, config: &Config) -> io::Result<()> {
        let configured: BTreeMap<_, _> = participants(config)
            .into_iter()
            .filter_map(|(name, remembered)| {
                let config = config.upstream.services.get(&name)?.clone();
                Some((name, Kept { config, remembered }))
            })
            .collect();
        let before = std::mem::replace(&mut self.configured, configured);
        self.retired.extend(before);
        self.recall();
        self.retired.retain(|name, _| !config.upstream.services.contains_key(name));
        self.lost.retain(|name, _| !config.upstream.services.contains_key(name));
        self.remember()
    }

    /// Looks whether what could not be called can be called now: its token may be back.
    fn recall(&mut self) {
        for (name, (why, remembered)) in std::mem::take(&mut self.lost) {
            let Some(remembered) = remembered else {
                self.lost.insert(name, (why, None));
                continue;
            };
            match remembered.recall() {
                Ok(config) => drop(self.retired.insert(name, Kept { config, remembered })),
                Err(why) => drop(self.lost.insert(name, (why, Some(remembered)))),
            }
        }
    }

    /// Lets go of those that nothing needs any more, and gives their names.
    pub fn let_go(&mut self, needed: &Needed) -> io::Result<Vec<String>> {
        let all = self.retired.keys().chain(self.lost.keys());
        let gone: Vec<_> = all.filter(|name| !needed.contains_key(name.as_str())).cloned().collect();
        for name in &gone {
            self.retired.remove(name);
            self.lost.remove(name);
        }
        if !gone.is_empty() {
            self.remember()?;
        }
        Ok(gone)
    }

    fn remember(&self) -> io::Result<()> {
        let kept = self.configured.iter().chain(&self.retired);
        let kept = kept.map(|(name, kept)| (name.clone(), kept.remembered.clone()));
        let lost = self.lost.iter().filter_map(|(name, (_, known))| Some((name.clone(), known.clone()?)));
        self.memory.write(&kept.chain(lost).collect::<Services>())
    }

    /// Whether anything is kept.
    pub fn is_idle(&self) -> bool {
        self.retired.is_empty() && self.lost.is_empty()
    }

    /// The retired services that can be called.
    pub fn upstream(&self) -> unanimo_upstream::Config {
        let services = self.retired.iter().map(|(name, kept)| (name.clone(), kept.config.clone()));
        unanimo_upstream::Config { services: services.collect() }
    }

    /// What is kept, by name, as it is shown.
    pub fn shown(&self, needed: &Needed) -> BTreeMap<String, Retired> {
        let transactions = |name: &str| needed.get(name).copied().unwrap_or_default();
        let retired = self.retired.iter().map(|(name, kept)| {
            let endpoints = kept.config.endpoints.clone();
            (name, Retired { endpoints, transactions: transactions(name), unreachable: None })
        });
        let lost = self.lost.iter().map(|(name, (why, _))| {
            let unreachable = Some(why.clone());
            (name, Retired { endpoints: Vec::new(), transactions: transactions(name), unreachable })
        });
        retired.chain(lost).map(|(name, shown)| (name.clone(), shown)).collect()
    }
}
