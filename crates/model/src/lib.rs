//! One decoder for Qwen3, Qwen2 and Llama, driven by its configuration: frozen base, a bank of LoRA
//! adapters of different ranks over it, loss, AdamW, and a cache for decoding.
//!
//! There is no tape. [`forward`](Model::evaluate) and backward are written by hand, block by block, over
//! packed rows: sequences stand one after the other without padding, sorted by adapter; the frozen
//! products run once over all rows, the adapters' products run by group.

mod bank;
mod batch;
mod cpu;
mod error;
mod gpu;
mod layer;
mod logits;
mod model;
mod sequences;
mod site;
mod trainer;
mod weights;

pub use bank::{AdapterBank, AdapterSpec};
pub use batch::{Example, ExampleLoss};
pub use error::{Error, Result};
pub use logits::{LogitRow, Logits, log_sum_exp};
pub use model::{Chunk, Device, KvCache, LoadOptions, MOST_POSITIONS, Model};
pub use trainer::{AdapterState, Rate, Trainer};
pub use verdict_formats as formats;
pub use verdict_kernels::cuda::{
    GpuDevice, GpuError, GpuProbe, KernelTime, Library, probe as gpus,
};
pub use verdict_kernels::{AdamW, BaseQuantization, ComputeDtype, Isa, UnknownName};
