//! The gateway that makes a request over several services all-or-nothing.
fn main() {}
