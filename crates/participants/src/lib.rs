//! Carry one call to one participant.
