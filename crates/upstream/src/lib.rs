//! Reach a service by name: resolve, balance, pool.
