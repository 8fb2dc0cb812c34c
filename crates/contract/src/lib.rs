//! The words between processes: headers, outcome rules, plans, problem types, traits.
