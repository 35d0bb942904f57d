//! One decoder for Qwen3, Qwen2 and Llama, driven by its configuration: frozen base, a bank of LoRA
//! adapters of different ranks over it, loss, AdamW, and a cache for decoding.
//!
//! There is no tape. [`forward`](Model::evaluate) and backward are written by hand, block by block, over
//! packed rows: sequences follow one another without padding, sorted by adapter; the frozen products run
//! once over all rows, the adapters' products once per adapter.

mod bank;
mod batch;
mod cpu;
mod error;
mod gpu;
mod host_logits;
mod layer;
mod logits;
mod model;
mod options;
mod sequences;
mod site;
mod trainer;
mod training_state;
mod weights;

pub use bank::{AdapterBank, AdapterSpec};
pub use batch::{Chunk, Example, ExampleLoss, MAX_POSITIONS};
pub use error::{Error, Result};
pub use host_logits::log_sum_exp;
pub use logits::{LogitRow, Logits};
pub use model::{KvCache, Model};
pub use options::{Device, LoadOptions};
pub use trainer::Trainer;
pub use training_state::{AdapterState, Rate};
pub use verdict_formats as formats;
pub use verdict_kernels::cuda::{
    GpuDevice, GpuError, GpuProbe, KernelTime, Library, probe as gpus,
};
pub use verdict_kernels::{AdamW, BaseQuantization, ComputeDtype, Isa, UnknownName};
