//! RMS norm: `y = x · w / sqrt(mean(x²) + eps)` over rows (Zhang and Sennrich 2019).

mod cpu;
mod cuda;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cpu::{rms_norm_backward, rms_norm_forward};
pub use cuda::NormInput;
