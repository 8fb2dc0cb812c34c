//! The control plane: the admin listener.
