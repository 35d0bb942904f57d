//! What a decoder's configuration says, whichever file it came from.

/// The decoder families that Verdict runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama and its kin (SmolLM2 among them).
    Llama,
    /// Qwen2: biases on q, k and v.
    Qwen2,
    /// Qwen3: RMS norm over each head's q and k.
    Qwen3,
}

/// A decoder's shape and constants. Names follow Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Decoder family.
    pub architecture: Architecture,
    /// H, width of the residual stream.
    pub hidden_size: usize,
    /// F, width of the feed-forward layer.
    pub intermediate_size: usize,
    /// L, number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads (grouped-query attention); divides the query heads.
    pub num_key_value_heads: usize,
    /// D, width of a head.
    pub head_dim: usize,
    /// V, rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence the positions were trained for.
    pub max_position_embeddings: usize,
    /// Epsilon of every RMS norm.
    pub rms_norm_eps: f32,
    /// Base of the rotary position encoding.
    pub rope_theta: f32,
    /// The head shares the embedding's weights.
    pub tie_word_embeddings: bool,
    /// q, k and v have a bias.
    pub qkv_bias: bool,
    /// q and k are RMS-normalised per head before the rotation.
    pub qk_norm: bool,
    /// Token that begins a text, where the family has one.
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text; the first is the one Verdict teaches.
    pub eos_token_ids: Vec<u32>,
}
