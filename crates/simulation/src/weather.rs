//! How often what goes wrong. Each seed has its own weather: where everything fails a little, some things never meet.

use crate::dice::Dice;

/// How often what goes wrong: so many times of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Calls that never arrive.
    pub(crate) lost_calls: u32,
    /// Answers that never come back.
    pub(crate) lost_answers: u32,
    /// Calls that arrive twice.
    pub(crate) duplicates: u32,
    /// Calls that arrive long after anybody waits for them.
    pub(crate) late_calls: u32,
    /// Calls that meet an overloaded or broken service, with or without effect.
    pub(crate) errors: u32,
    /// Calls that take longer than any deadline.
    pub(crate) slow_work: u32,
    /// Calls after whose arrival the participant's process ends.
    pub(crate) participant_crashes: u32,
    /// Answers to clients that are lost with their connection.
    pub(crate) lost_replies: u32,
    /// Steps of the gateway's process after which it ends.
    pub(crate) gateway_crashes: u32,
    /// The journal's turns in which the power goes.
    pub(crate) power_cuts: u32,
    /// Starts in which it goes.
    pub(crate) broken_starts: u32,
    /// The journal's turns in which a write may fail.
    pub(crate) failed_writes: u32,
    /// The journal's turns in which a sync may fail.
    pub(crate) failed_syncs: u32,
    /// The journal's turns after which the disk is full for a while.
    pub(crate) full_disk: u32,
    /// The journal's turns that take long.
    pub(crate) slow_disk: u32,
    /// Steps after which the gateway's process stands still for a while.
    pub(crate) pauses: u32,
    /// Starts at which the wall clock has jumped.
    pub(crate) clock_jumps: u32,
    /// Steps after which the gateway is asked to end in good order.
    pub(crate) orderly_ends: u32,
}

impl Weather {
    /// The weather of a seed.
    pub(crate) fn draw(dice: &mut Dice) -> Weather {
        let mut draw = |rare: u32, often: u32| dice.pick([0, 0, rare, often]);
        Weather {
            lost_calls: draw(10, 150),
            lost_answers: draw(10, 150),
            duplicates: draw(20, 200),
            late_calls: draw(10, 100),
            errors: draw(20, 250),
            slow_work: draw(10, 100),
            participant_crashes: draw(5, 50),
            lost_replies: draw(50, 300),
            gateway_crashes: draw(1, 8),
            power_cuts: draw(5, 40),
            broken_starts: draw(100, 400),
            failed_writes: draw(2, 10),
            failed_syncs: draw(2, 10),
            full_disk: draw(2, 10),
            slow_disk: draw(10, 100),
            pauses: draw(1, 4),
            clock_jumps: draw(100, 500),
            orderly_ends: draw(1, 2),
        }
    }

    /// Nothing goes wrong.
    pub(crate) fn calm() -> Weather {
        Weather::default()
    }
}
