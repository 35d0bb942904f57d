//! One decoder for Qwen3, Qwen2 and Llama.
