//! The memory of a pass: what each block saves for backward, and what all blocks share.

use verdict_formats::ModelConfig;
use verdict_kernels::cuda::{Gpu, View};
use verdict_kernels::{GpuLinear, Scratch};

use crate::error::Result;
use crate::gpu::arena::{Arena, Bump};
use crate::gpu::load::GpuModel;
use crate::site::Site;

/// Sizes of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassSize {
    /// T.
    pub(crate) rows: usize,
    /// Supervised rows whose logits are held at once.
    pub(crate) head_rows: usize,
    /// Columns of u at each site.
    pub(crate) narrow: [usize; 4],
    /// What backward will find.
    pub(crate) keep: Keep,
    /// Whether products take their inputs in 8-bit floats.
    pub(crate) fp8: bool,
}

/// What forward keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: no backward follows.
    Nothing,
    /// Each block's input; backward runs the block again.
    Inputs,
    /// All that backward reads.
    Everything,
}

/// What backward needs of one block, except its input. All bf16 but `lse`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved<'a> {
    /// q, k, v as projected `[T, ld]`.
    pub(crate) qkv: View<'a, u16>,
    /// q and k, normed and rotated `[T, (heads + kv_heads) · D]`.
    pub(crate) rotated: View<'a, u16>,
    /// `[T, heads · D]`
    pub(crate) attention: View<'a, u16>,
    /// Logarithms of attention's sums `[heads, T]`.
    pub(crate) lse: View<'a, f32>,
    /// The residual stream after attention `[T, H]`.
    pub(crate) middle: View<'a, u16>,
    /// `[T, 2F]`
    pub(crate) gate_up: View<'a, u16>,
    /// `drop(x) Aᵀ` of each site.
    pub(crate) u: [View<'a, u16>; 4],
}

/// All memory of a pass.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    /// The residual stream before each block and after the last; two in turns where nothing is kept.
    pub(crate) stream: Vec<View<'a, u16>>,
    /// Of each block, or one for all.
    pub(crate) saved: Vec<Saved<'a>>,
    /// A site's input `[T, widest]`, and the same masked.
    pub(crate) input: View<'a, u16>,
    pub(crate) masked: View<'a, u16>,
    /// Rows of the head.
    pub(crate) head: View<'a, u16>,
    /// `[head_rows, V]`
    pub(crate) logits: View<'a, f32>,
    /// The input of a product in 8-bit floats `[T, widest]`, and a scale a row.
    pub(crate) input8: Option<(View<'a, u8>, View<'a, f32>)>,
    /// Of backward alone.
    pub(crate) back: Option<Back<'a>>,
}

/// Memory of backward alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back<'a> {
    /// Gradient of the residual stream `[T, H]`.
    pub(crate) dx: View<'a, u16>,
    /// Gradient of a site's input `[T, widest]`.
    pub(crate) d_input: View<'a, u16>,
    /// Gradient of gate and up, or of q, k, v.
    pub(crate) d_wide: View<'a, u16>,
    /// α/r · dy B.
    pub(crate) du: View<'a, u16>,
    /// `[heads, T]`
    pub(crate) delta: View<'a, f32>,
}

impl<'a> Pass<'a> {
    /// Lays a pass out in the arena, which grows where it must.
    ///
    /// # Errors
    /// Out of memory.
    pub(crate) fn within(
        arena: &'a mut Arena,
        gpu: &Gpu,
        c: &ModelConfig,
        size: PassSize,
    ) -> Result<Self> {
        let mut bump = arena.ensure(gpu, Self::bytes(c, size))?;
        let pass = Self::lay_out(&mut bump, c, size);
        Ok(pass.unwrap_or_else(|| unreachable!("the arena is there")))
    }

    /// Lays a pass out; none when `bump` only counts.
    fn lay_out(bump: &mut Bump<'a>, c: &ModelConfig, size: PassSize) -> Option<Self> {
        // Products of 8-bit floats take rows by sixteens.
        let t = size.rows.next_multiple_of(16);
        let (hidden, layers) = (c.hidden_size, c.num_hidden_layers);
        let (q, kv) = (
            c.num_attention_heads * c.head_dim,
            c.num_key_value_heads * c.head_dim,
        );
        let ld = q + 2 * kv;
        let widest = Site::ALL
            .map(|s| s.inputs(c))
            .into_iter()
            .max()
            .unwrap_or(0);
        let (streams, saved) = match size.keep {
            Keep::Nothing => (2, 1),
            Keep::Inputs => (layers + 1, 1),
            Keep::Everything => (layers + 1, layers),
        };
        // Counting must touch everything: no early return between.
        let stream: Vec<_> = (0..streams).map(|_| bump.take(t * hidden)).collect();
        let saved: Vec<_> = (0..saved)
            .map(|_| {
                let (qkv, rotated) = (bump.take(t * ld), bump.take(t * (q + kv)));
                let (attention, lse) = (bump.take(t * q), bump.take(t * c.num_attention_heads));
                let (middle, gate_up) = (
                    bump.take(t * hidden),
                    bump.take(2 * t * c.intermediate_size),
                );
                let u = size.narrow.map(|ld| bump.take(t * ld));
                Some(Saved {
                    qkv: qkv?,
                    rotated: rotated?,
                    attention: attention?,
                    lse: lse?,
                    middle: middle?,
                    gate_up: gate_up?,
                    u: [u[0]?, u[1]?, u[2]?, u[3]?],
                })
            })
            .collect();
        let (input, masked) = (bump.take(t * widest), bump.take(t * widest));
        let outputs = Site::ALL.map(|s| s.outputs(c)).into_iter().max();
        let input8 = size.fp8.then(|| {
            let numbers = bump.take(t * outputs.unwrap_or(0).max(widest));
            numbers.zip(bump.take(t))
        });
        let head = bump.take(size.head_rows * hidden);
        let logits = bump.take(size.head_rows * c.vocab_size);
        let back = (size.keep != Keep::Nothing).then(|| {
            let (dx, d_input) = (bump.take(t * hidden), bump.take(t * widest));
            let d_wide = bump.take(t * ld.max(2 * c.intermediate_size));
            let du = bump.take(t * size.narrow.into_iter().max().unwrap_or(0));
            let delta = bump.take(t * c.num_attention_heads);
            Some(Back {
                dx: dx?,
                d_input: d_input?,
                d_wide: d_wide?,
                du: du?,
                delta: delta?,
            })
        });
        Some(Self {
            stream: stream.into_iter().collect::<Option<_>>()?,
            saved: saved.into_iter().collect::<Option<_>>()?,
            input: input?,
            masked: masked?,
            input8: match input8 {
                Some(input8) => Some(input8?),
                None => None,
            },
            head: head?,
            logits: logits?,
            back: match back {
                Some(back) => Some(back?),
                None => None,
            },
        })
    }

    /// Room for a site's product with weights that are not bf16.
    pub(crate) fn scratch<'s>(
        &self,
        model: &'s GpuModel,
        site: Site,
        ahead: &'s GpuLinear,
    ) -> Scratch<'s>
    where
        'a: 's,
    {
        Scratch {
            unpacker: &model.unpacker,
            slot: site as usize % 2,
            // Blocks that are run again come in another order.
            ahead: (!self.runs_again()).then_some(ahead),
            input: self.input8,
        }
    }

    /// Whether backward runs each block again.
    pub(crate) fn runs_again(&self) -> bool {
        self.back.is_some() && self.saved.len() < self.stream.len() - 1
    }

    /// Bytes of a pass.
    pub(crate) fn bytes(c: &ModelConfig, size: PassSize) -> usize {
        let mut bump = Bump::counting();
        let _ = Self::lay_out(&mut bump, c, size);
        bump.used()
    }
}
