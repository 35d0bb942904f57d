//! Bytes to typed values and back: model weights (safetensors, GGUF), `config.json`, tokenizers and
//! PEFT adapter folders. No arithmetic beyond decoding a stored number format.

mod config;
mod error;

pub use config::{Architecture, ModelConfig};
pub use error::{Error, Result};
