//! What can go wrong in loading and running a model.

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A model or an adapter that cannot be used as requested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not what it should be.
    #[error(transparent)]
    Format(#[from] verdict_formats::Error),
    /// A GPU that is not there, is full, or failed.
    #[error(transparent)]
    Gpu(#[from] verdict_kernels::cuda::GpuError),
    /// Threads or number formats that this machine does not have.
    #[error("{0}")]
    Machine(String),
    /// A weight is not a number.
    #[error("{path}: tensor `{tensor}`: row {row} holds {found}, expected finite numbers")]
    NotFinite {
        /// Model file or folder.
        path: String,
        /// Tensor's name.
        tensor: String,
        /// First such row.
        row: usize,
        /// The value.
        found: f32,
    },
    /// An adapter that was made for another model.
    #[error(
        "adapter `{adapter}` does not fit this model: `{tensor}` is {found:?}, expected {expected:?}"
    )]
    AdapterShape {
        /// Adapter's name.
        adapter: String,
        /// Tensor's name.
        tensor: String,
        /// Shape that fits.
        expected: Vec<usize>,
        /// Shape found.
        found: Vec<usize>,
    },
    /// An adapter to start from whose rank is not that of the adapter that starts.
    #[error(
        "the adapter to start from has rank {found}, the adapter that is trained has rank {expected}; \
         --rank {found} continues it"
    )]
    InitRank {
        /// Rank of the adapter that is trained.
        expected: usize,
        /// Rank of the adapter to start from.
        found: usize,
    },
    /// An adapter with a matrix that belongs to no module of this model.
    #[error(
        "adapter `{adapter}` does not fit this model: it has `{tensor}`, the model has no such layer"
    )]
    AdapterTensor {
        /// Adapter's name.
        adapter: String,
        /// Tensor's name.
        tensor: String,
    },
    /// An adapter whose matrices are not those of the modules that its configuration names.
    #[error(
        "adapter `{adapter}`: its weights and its configuration do not match: tensor `{tensor}` is {found}; \
         restore adapter_model.safetensors and adapter_config.json of the same adapter",
        found = match missing {
            true => "missing, though `target_modules` of adapter_config.json names its module",
            false => "present, though `target_modules` of adapter_config.json does not name its module",
        }
    )]
    AdapterTargets {
        /// Adapter's name.
        adapter: String,
        /// Tensor's name.
        tensor: String,
        /// The tensor is missing; else it is too many.
        missing: bool,
    },
    /// A state of training that is another adapter's.
    #[error(
        "adapter `{adapter}`: expected a state of {expected} weights and as many moments, found {found:?}"
    )]
    State {
        /// Adapter's name.
        adapter: String,
        /// Its number of weights.
        expected: usize,
        /// Weights, first and second moments found.
        found: [usize; 3],
    },
    /// A sequence longer than the positions the model knows.
    #[error("a sequence of {found} tokens: the model's positions end at {limit}")]
    TooLong {
        /// Its length.
        found: usize,
        /// The model's `max_position_embeddings`.
        limit: usize,
    },
    /// A token that is not in the vocabulary.
    #[error("token {found}: the model's vocabulary has {vocabulary} entries")]
    Token {
        /// The token.
        found: u32,
        /// V.
        vocabulary: usize,
    },
    /// Examples or chunks that cannot be run as given.
    #[error("{0}")]
    Batch(String),
}
