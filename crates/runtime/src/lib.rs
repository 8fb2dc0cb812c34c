//! The coordinator's shell: shards on workers, their mailboxes, journal and calls.
