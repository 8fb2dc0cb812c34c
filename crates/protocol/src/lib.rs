//! What a transaction is, and what may follow what.
