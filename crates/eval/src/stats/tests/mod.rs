//! Simulations of the coverage of intervals and of the guarantees of thresholds.

mod coverage;
mod exact;
mod guarantees;
mod world;
