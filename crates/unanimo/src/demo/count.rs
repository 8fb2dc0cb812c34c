//! Counts as people read them.

use indicatif::HumanCount;

/// With a mark between thousands.
pub fn number(count: u64) -> String {
    HumanCount(count).to_string()
}
