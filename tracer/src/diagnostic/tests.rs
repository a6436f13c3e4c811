//! Typical mistakes, as they are told.

mod log;
mod mistakes;
