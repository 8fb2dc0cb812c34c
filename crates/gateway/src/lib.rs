//! The data plane: listeners, routes, filters.
