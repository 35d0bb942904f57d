//! The operations of the decoder, forward and backward, on the CPU and on GPUs.
//!
//! One folder per operation: `reference.rs` is the plain version that all others are compared with, `cpu.rs`
//! (or `mod.rs`) the fast one on a CPU, `cuda.rs` and `cuda.cu` the one on a GPU, `tests.rs` compares them. Two
//! folders have no `reference.rs`: `lora`, whose products are compared with `linear`'s, and `dropout`, whose
//! masks are exact, so that the portable CPU version is the reference.
//! [`Cpu`] holds what every operation on the CPU needs to know: threads, instruction set, and the number format
//! of the matrix products.
//!
//! **Invariant: operations are batch-invariant.** Every output element is one chain of sums in an order fixed
//! by its own row and column alone, whatever the number of threads, the other rows, the other adapters and
//! the block sizes.

mod adamw;
mod attention;
mod cpu;
pub mod cuda;
mod dropout;
mod integer;
mod linear;
mod lora;
mod loss;
mod norm;
mod number_formats;
mod rope;
mod swiglu;

pub use adamw::{
    AdamW, AdamWState, AdamWStep, BankPieces, BankRate, BankState, adamw_step, clip_factor,
    sum_of_squares,
};
pub use attention::{
    AttentionInput, AttentionShape, AttentionTiles, Span, attention_backward, attention_decode,
    attention_forward,
};
pub use cpu::{Cpu, Isa, resize_buffer, zeros};
pub use dropout::{DropoutKey, Masked, RowKey, dropout_scale, dropout_scale_add};
pub use linear::{
    FrozenLinear, GpuLinear, Mode, Out, RightOperand, Rows, SKINNY_ROWS, Scratch, Skinny,
    SkinnyOut, SmallProduct, Unpacker, matmul,
};
pub use lora::{LoraList, LoraPlan, LoraProduct, Narrow, Wide};
pub use loss::{ChoicePart, Choices, choice_parts, cross_entropy, log_softmax_at};
pub use norm::{NormInput, rms_norm_backward, rms_norm_forward};
pub use number_formats::{BaseQuantization, ComputeDtype, UnknownName};
pub use rope::{CacheShape, HeadTransform, LayerCache, RopeTable, frequencies as rope_frequencies};
pub use swiglu::{swiglu_backward, swiglu_forward};

/// Plain versions of the operations: slow, short, and what the fast ones are compared with.
pub mod reference {
    pub use crate::adamw::reference as adamw;
    pub use crate::attention::reference as attention;
    pub use crate::integer::reference as integer;
    pub use crate::linear::reference as linear;
    pub use crate::loss::reference as loss;
    pub use crate::norm::reference as norm;
    pub use crate::rope::reference as rope;
    pub use crate::swiglu::reference as swiglu;
}
