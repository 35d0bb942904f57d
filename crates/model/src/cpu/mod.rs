//! The CPU engine: blocks forward and backward over packed rows, on all cores.

mod backward;
mod block;
mod decode;
mod forward;
mod head;
mod load;
mod lora;
mod trainer;

pub(crate) use decode::CpuCache;
pub(crate) use load::CpuModel;
pub(crate) use trainer::CpuTrainer;
