//! Shapes of public models, for measurements with random weights. The numbers are those of each
//! model's `config.json`.

use verdict_formats::{Architecture, ModelConfig};

/// A model with a known shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Qwen/Qwen3-0.6B
    #[value(name = "qwen3-0.6b")]
    Qwen3Small,
    /// Qwen/Qwen3-1.7B
    #[value(name = "qwen3-1.7b")]
    Qwen3Medium,
    /// Qwen/Qwen3-4B
    #[value(name = "qwen3-4b")]
    Qwen3Large,
    /// Qwen/Qwen3-8B
    #[value(name = "qwen3-8b")]
    Qwen3Huge,
    /// HuggingFaceTB/SmolLM2-135M
    #[value(name = "smollm2-135m")]
    SmolLm2,
}

impl Shape {
    /// As `--shape` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen3Small => "qwen3-0.6b",
            Self::Qwen3Medium => "qwen3-1.7b",
            Self::Qwen3Large => "qwen3-4b",
            Self::Qwen3Huge => "qwen3-8b",
            Self::SmolLm2 => "smollm2-135m",
        }
    }

    /// The shape.
    pub fn config(self) -> ModelConfig {
        let qwen3 = ModelConfig {
            architecture: Architecture::Qwen3,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            vocab_size: 151_936,
            max_position_embeddings: 40_960,
            rms_norm_eps: 1e-6,
            rope_theta: 1e6,
            rope_scaling: None,
            tie_word_embeddings: true,
            qkv_bias: false,
            qk_norm: true,
            eos_token_ids: vec![151_645],
        };
        match self {
            Self::Qwen3Small => ModelConfig {
                hidden_size: 1024,
                intermediate_size: 3072,
                ..qwen3
            },
            Self::Qwen3Medium => ModelConfig {
                hidden_size: 2048,
                intermediate_size: 6144,
                ..qwen3
            },
            Self::Qwen3Large => ModelConfig {
                hidden_size: 2560,
                intermediate_size: 9728,
                num_hidden_layers: 36,
                num_attention_heads: 32,
                ..qwen3
            },
            Self::Qwen3Huge => ModelConfig {
                hidden_size: 4096,
                intermediate_size: 12_288,
                num_hidden_layers: 36,
                num_attention_heads: 32,
                tie_word_embeddings: false,
                ..qwen3
            },
            Self::SmolLm2 => ModelConfig {
                architecture: Architecture::Llama,
                hidden_size: 576,
                intermediate_size: 1536,
                num_hidden_layers: 30,
                num_attention_heads: 9,
                num_key_value_heads: 3,
                head_dim: 64,
                vocab_size: 49_152,
                max_position_embeddings: 8_192,
                rms_norm_eps: 1e-5,
                rope_theta: 1e5,
                rope_scaling: None,
                qk_norm: false,
                eos_token_ids: vec![0],
                ..qwen3
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn names_are_the_flags_values_and_sizes_the_models_own() {
        // Parameters in millions, as the model cards count them: 0.6B has 0.44B without the embedding,
        // 1.7B 1.4B, 4B 3.6B, 8B 6.95B; SmolLM2 has 134.5 million in all.
        let expected = [596.0, 1720.6, 4022.5, 8190.7, 134.5];
        for (shape, expected) in Shape::value_variants().iter().zip(expected) {
            let value = shape.to_possible_value().expect("shown");
            assert_eq!(value.get_name(), shape.name());
            let tensors = shape.config().tensors();
            let count: usize = tensors
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum();
            let millions = count as f64 / 1e6;
            assert!(
                (millions - expected).abs() < 0.5,
                "{}: {millions}",
                shape.name()
            );
        }
    }
}
