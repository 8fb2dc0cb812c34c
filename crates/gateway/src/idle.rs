//! How long something may be silent. A timer is made only when there is something to wait for.

use crate::clock;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep_until};

/// Measures one silence after the other.
#[derive(Debug)]
pub(crate) struct Idle {
    patience: Duration,
    /// Made at the first silence, and used for all further ones.
    timer: Option<Pin<Box<Sleep>>>,
    is_silent: bool,
}

impl Idle {
    pub(crate) fn new(patience: Duration) -> Idle {
        Idle { patience, timer: None, is_silent: false }
    }

    /// The silence is over, if there was one.
    pub(crate) fn moved(&mut self) {
        self.is_silent = false;
    }

    /// There is silence now. Ready when it has lasted too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Idle { patience, timer, is_silent } = self;
        let end = || (clock::now() + *patience).into();
        let timer = match timer {
            None => timer.insert(Box::pin(sleep_until(end()))),
            Some(timer) => {
                if !*is_silent {
                    timer.as_mut().reset(end());
                }
                timer
            }
        };
        *is_silent = true;
        timer.as_mut().poll(cx)
    }
}
