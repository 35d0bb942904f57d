//! Attention on a GPU, in tiles of 64 rows.

use super::{AttentionShape, Span};
use crate::cuda::{Buffer, Gpu, GpuResult, Plain, View};

/// 64 rows of a sequence.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Tile {
    start: u32,
    len: u32,
    first: u32,
}
// SAFETY: plain numbers without a gap.
unsafe impl Plain for Tile {}

/// The tiles of a batch's sequences, in device memory.
#[derive(Debug)]
pub struct AttentionTiles {
    tiles: Buffer<Tile>,
    rows: usize,
}

const ROWS: usize = 64;

impl AttentionTiles {
    /// Tiles of packed sequences, those with most keys first.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(gpu: &Gpu, spans: &[Span]) -> GpuResult<Self> {
        let mut tiles: Vec<Tile> = Vec::new();
        for span in spans {
            for first in (0..span.len()).step_by(ROWS) {
                tiles.push(Tile {
                    start: span.start as u32,
                    len: span.len() as u32,
                    first: first as u32,
                });
            }
        }
        tiles.sort_by_key(|t| std::cmp::Reverse(t.len));
        Ok(Self {
            tiles: gpu.upload(&tiles)?,
            rows: spans.iter().map(|s| s.end).max().unwrap_or(0),
        })
    }
}

/// Operands of attention, each with the numbers from row to row: q and k as rotated, v as projected.
#[derive(Clone, Copy, Debug)]
pub struct AttentionInput<'a> {
    /// Heads.
    pub shape: AttentionShape,
    /// Sequences.
    pub tiles: &'a AttentionTiles,
    /// `[T, heads · D]`
    pub q: (View<'a, u16>, usize),
    /// `[T, kv_heads · D]`
    pub k: (View<'a, u16>, usize),
    /// `[T, kv_heads · D]`
    pub v: (View<'a, u16>, usize),
}

impl AttentionInput<'_> {
    /// The template's width.
    fn padded(&self) -> usize {
        AttentionShape::padded_head(self.shape.head_dim)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    fn check(&self) {
        let (s, rows) = (self.shape, self.tiles.rows);
        let width = |heads: usize| heads * s.head_dim;
        for ((view, ld), width) in [
            (self.q, width(s.heads)),
            (self.k, width(s.kv_heads)),
            (self.v, width(s.kv_heads)),
        ] {
            view.holds((rows.max(1) - 1) * ld + width.min(rows * width));
        }
    }
}

impl Gpu {
    /// `out [T, heads · D]`, and `lse [heads, T]`, the logarithms that backward needs.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn attention_forward(
        &self,
        input: AttentionInput<'_>,
        out: View<'_, u16>,
        lse: View<'_, f32>,
    ) -> GpuResult<()> {
        input.check();
        let (s, rows) = (input.shape, input.tiles.rows);
        let width = s.heads * s.head_dim;
        out.holds(rows * width);
        lse.holds(rows * s.heads);
        let dp = input.padded();
        let (ld_q, ld_k, ld_v) = (input.q.1 as i32, input.k.1 as i32, input.v.1 as i32);
        let (ld_out, t, group, d) = (
            width as i32,
            rows as i32,
            s.group() as i32,
            s.head_dim as i32,
        );
        let (tiles, scale) = (input.tiles.tiles.view(), input.scale());
        self.launch(
            &format!("attention_forward_{dp}"),
            (s.heads, tiles.len(), 1),
            128,
            384 * dp,
            &[
                &input.q.0, &input.k.0, &input.v.0, &ld_q, &ld_k, &ld_v, &out, &ld_out, &lse, &t,
                &tiles, &group, &d, &scale,
            ],
        )
    }

    /// Gradients of q, k and v side by side `[T, ld]`, from `d_out [T, heads · D]`, forward's `out` and
    /// `lse`. `delta [heads, T]` is scratch.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn attention_backward(
        &self,
        input: AttentionInput<'_>,
        out: View<'_, u16>,
        lse: View<'_, f32>,
        d_out: View<'_, u16>,
        delta: View<'_, f32>,
        d_qkv: View<'_, u16>,
    ) -> GpuResult<()> {
        input.check();
        let (s, rows) = (input.shape, input.tiles.rows);
        let width = s.heads * s.head_dim;
        out.holds(rows * width);
        d_out.holds(rows * width);
        lse.holds(rows * s.heads);
        delta.holds(rows * s.heads);
        d_qkv.holds(rows * s.ld());
        let dp = input.padded();
        let (ld_q, ld_k, ld_v) = (input.q.1 as i32, input.k.1 as i32, input.v.1 as i32);
        let (ld_out, ld_d, t) = (width as i32, s.ld() as i32, rows as i32);
        let (group, d, scale) = (s.group() as i32, s.head_dim as i32, input.scale());
        let tiles = input.tiles.tiles.view();
        let (d_k, d_v) = (
            d_qkv.from(s.k(0).min(d_qkv.len())),
            d_qkv.from(s.v(0).min(d_qkv.len())),
        );
        self.launch(
            &format!("attention_backward_queries_{dp}"),
            (s.heads, tiles.len(), 1),
            128,
            512 * dp + 256,
            &[
                &input.q.0, &input.k.0, &input.v.0, &ld_q, &ld_k, &ld_v, &out, &ld_out, &d_out,
                &ld_out, &lse, &delta, &d_qkv, &ld_d, &t, &tiles, &group, &d, &scale,
            ],
        )?;
        self.launch(
            &format!("attention_backward_keys_{dp}"),
            (s.kv_heads, tiles.len(), 1),
            128,
            768 * dp + 1024,
            &[
                &input.q.0, &input.k.0, &input.v.0, &ld_q, &ld_k, &ld_v, &d_out, &ld_out, &lse,
                &delta, &d_k, &ld_d, &d_v, &ld_d, &t, &tiles, &group, &d, &scale,
            ],
        )
    }
}
