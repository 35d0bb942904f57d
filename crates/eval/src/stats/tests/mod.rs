//! Simulations: how often intervals hold what they say and thresholds keep what they promise.

mod coverage;
mod exact;
mod guarantees;
mod world;
