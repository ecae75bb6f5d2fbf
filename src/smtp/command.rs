//! All that can be said.
