//! Drive many transactions: shards, timers, retries, budgets, replay.
