//! Durable facts: append, sync, replay.
