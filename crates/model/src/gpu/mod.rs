//! The GPU engine: the same blocks as the CPU's, over packed rows of bf16 in device memory.
//!
//! Every kernel of a pass is queued on one stream; the host waits once a pass, for the losses. All memory
//! of a pass is one arena, laid out anew for each batch.

mod arena;
mod backward;
mod bank;
mod batch;
mod budget;
mod cache;
mod decode;
mod forward;
mod head;
mod kv_memory;
mod load;
mod logits;
mod pass;
mod recorded_step;
mod trainer;

pub(crate) use cache::GpuCache;
pub(crate) use load::GpuModel;
pub(crate) use logits::Last;
pub(crate) use trainer::GpuTrainer;
