//! A seeded world: lost calls, torn writes, crashes.
