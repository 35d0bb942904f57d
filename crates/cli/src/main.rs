//! The `verdict` binary: arguments to settings, one file per command.
fn main() {}
