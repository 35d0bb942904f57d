//! Bytes to typed values and back: model weights (safetensors, GGUF), `config.json`, tokenizers and
//! PEFT adapter folders. No arithmetic beyond decoding a stored number format.
//!
//! [`Checkpoint`] opens a model, [`Adapter`] reads and writes a LoRA adapter as PEFT keeps it.

mod adapter;
mod adapter_config;
mod arrays;
mod checkpoint;
mod config;
mod config_json;
mod error;
mod extras;
mod gguf;
mod random;
mod safetensors_file;
mod store;
mod targets;
mod to_f32;
mod tokenizer;

pub use adapter::{Adapter, AdapterTensor};
pub use adapter_config::AdapterConfig;
pub use arrays::{Array, Arrays, arrays_from_bytes, arrays_to_bytes};
pub use checkpoint::Checkpoint;
pub use config::{Architecture, ModelConfig, RopeScaling};
pub use error::{Error, Result};
pub use targets::Targets;
