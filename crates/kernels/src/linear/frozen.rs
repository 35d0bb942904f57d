//! Frozen weights: packed once, read by every product.

use std::cell::RefCell;
use std::ops::Range;

use crate::cpu::gemm::{Left, Mode, Pack, Product, run};
use crate::cpu::layout::{BLOCK, K_TILE, TILE};
use crate::cpu::math::{from_bf16, to_bf16};
use crate::cpu::{Cpu, Isa, SharedMut, zeros};
use crate::integer::{self, Activations};
use crate::linear::Rows;
use crate::number_formats::{BaseQuantization, ComputeDtype};

enum Store {
    /// `[n/16][k][16]`
    F32(Vec<f32>),
    /// `[n/16][k/32][16 pairs][16][2]`
    Bf16(Vec<u16>),
    /// As bf16, and a scale a row.
    Int8(Vec<i8>, Vec<f32>),
    /// For integer products: `[n/16][k/4][16][4]`, and a scale a row.
    Offset(Vec<u8>, Vec<f32>),
}

thread_local! {
    /// The quantized rows of the product that this thread has started.
    static ACTIVATIONS: RefCell<Activations> = RefCell::default();
}

/// A frozen `[out, in]` matrix (or several stacked by rows) with an optional bias.
pub struct FrozenLinear {
    n: usize,
    k: usize,
    store: Store,
    bias: Option<Vec<f32>>,
}

impl std::fmt::Debug for FrozenLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrozenLinear[{}, {}]", self.n, self.k)
    }
}

impl FrozenLinear {
    /// Packs `n` rows of `k` weights; `read(rows, out)` gives them in f32, on many threads.
    ///
    /// # Errors
    /// The first error of `read`.
    pub fn pack<E: Send>(
        cpu: &Cpu,
        base: BaseQuantization,
        n: usize,
        k: usize,
        bias: Option<Vec<f32>>,
        read: impl Fn(Range<usize>, &mut [f32]) -> Result<(), E> + Sync + Send,
    ) -> Result<Self, E> {
        let blocks = n.div_ceil(BLOCK);
        let tiles = k.div_ceil(K_TILE);
        let mut store = match base {
            BaseQuantization::F32 => Store::F32(zeros(blocks * k * BLOCK)),
            BaseQuantization::Bf16 => Store::Bf16(zeros(blocks * tiles * TILE)),
            BaseQuantization::Int8 if cpu.compute() == ComputeDtype::Int16 => {
                Store::Offset(zeros(blocks * integer::block_bytes(k)), vec![0.0; n])
            }
            BaseQuantization::Int8 => Store::Int8(zeros(blocks * tiles * TILE), vec![0.0; n]),
            BaseQuantization::Fp8 | BaseQuantization::Nf4 => panic!("{base} weights are for GPUs"),
        };
        let failure = std::sync::Mutex::new(None);
        let isa = cpu.isa();
        {
            enum Out<'a> {
                F32(SharedMut<f32>),
                Bf16(SharedMut<u16>),
                Int8(SharedMut<i8>, &'a SharedMut<f32>),
                Offset(SharedMut<u8>, &'a SharedMut<f32>),
            }
            let scales;
            let out = match &mut store {
                Store::F32(v) => Out::F32(SharedMut::new(v)),
                Store::Bf16(v) => Out::Bf16(SharedMut::new(v)),
                Store::Int8(v, s) => {
                    scales = SharedMut::new(s);
                    Out::Int8(SharedMut::new(v), &scales)
                }
                Store::Offset(v, s) => {
                    scales = SharedMut::new(s);
                    Out::Offset(SharedMut::new(v), &scales)
                }
            };
            cpu.each_range(blocks, 2, |range| {
                let mut rows = vec![0.0; BLOCK * k];
                let padded = tiles * K_TILE;
                let mut bytes = vec![0_i8; BLOCK * padded];
                for block in range {
                    let first = block * BLOCK;
                    let count = (n - first).min(BLOCK);
                    if let Err(e) = read(first..first + count, &mut rows[..count * k]) {
                        failure
                            .lock()
                            .unwrap_or_else(|p| p.into_inner())
                            .get_or_insert(e);
                        return;
                    }
                    for (j, row) in rows[..count * k].chunks_exact(k).enumerate() {
                        // SAFETY: one thread per block of rows.
                        unsafe {
                            match &out {
                                Out::F32(v) => {
                                    let v = v.slice(block * k * BLOCK..(block + 1) * k * BLOCK);
                                    for (o, w) in v[j..].iter_mut().step_by(BLOCK).zip(row) {
                                        *o = *w;
                                    }
                                }
                                Out::Bf16(v) => {
                                    let v =
                                        v.slice(block * tiles * TILE..(block + 1) * tiles * TILE);
                                    for (p, w) in row.iter().enumerate() {
                                        v[(p / 2) * 2 * BLOCK + 2 * j + p % 2] = to_bf16(*w);
                                    }
                                }
                                Out::Int8(_, scales) | Out::Offset(_, scales) => {
                                    let bytes = &mut bytes[j * padded..][..k];
                                    scales.slice(first + j..first + j + 1)[0] =
                                        quantise(isa, row, bytes);
                                }
                            }
                        }
                    }
                    if let Out::Int8(v, _) = &out {
                        bytes[count * padded..].fill(0);
                        let size = tiles * TILE;
                        // SAFETY: as above.
                        let v = unsafe { v.slice(block * size..(block + 1) * size) };
                        interleave(isa, &bytes, v);
                    }
                    if let Out::Offset(v, _) = &out {
                        bytes[count * padded..].fill(0);
                        let size = integer::block_bytes(k);
                        // SAFETY: as above.
                        let v = unsafe { v.slice(block * size..(block + 1) * size) };
                        interleave_offset(isa, &bytes, v);
                    }
                }
            });
        }
        match failure.into_inner().unwrap_or_else(|p| p.into_inner()) {
            Some(e) => Err(e),
            None => Ok(Self { n, k, store, bias }),
        }
    }

    /// Outputs (rows of W).
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// Inputs (columns of W).
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// Memory of the weights.
    pub fn bytes(&self) -> usize {
        match &self.store {
            Store::F32(v) => v.len() * 4,
            Store::Bf16(v) => v.len() * 2,
            Store::Int8(v, s) => v.len() + s.len() * 4,
            Store::Offset(v, s) => v.len() + s.len() * 4,
        }
    }

    /// One row of W as the products see it (the embedding of a token, for a tied head).
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let (block, j) = (row / BLOCK, row % BLOCK);
        let tiles = self.k.div_ceil(K_TILE);
        let at = |p: usize| block * tiles * TILE + (p / 2) * 2 * BLOCK + 2 * j + p % 2;
        for (p, o) in out[..self.k].iter_mut().enumerate() {
            *o = match &self.store {
                Store::F32(v) => v[(block * self.k + p) * BLOCK + j],
                Store::Bf16(v) => from_bf16(v[at(p)]),
                Store::Int8(v, s) => f32::from(v[at(p)]) * s[row],
                Store::Offset(v, s) => {
                    let block = &v[block * integer::block_bytes(self.k)..];
                    f32::from(integer::weight(block[integer::place(j, p)])) * s[row]
                }
            };
        }
    }

    /// `y = x Wᵀ + b` or `y += …`; y `[T, out]`.
    pub fn forward(&self, cpu: &Cpu, x: &Rows, y: &mut [f32], mode: Mode) {
        self.forward_rows(cpu, x, 0..x.len(), y, mode);
    }

    /// As [`FrozenLinear::forward`], for some of the rows of `x`.
    pub fn forward_rows(&self, cpu: &Cpu, x: &Rows, rows: Range<usize>, y: &mut [f32], mode: Mode) {
        assert_eq!(x.columns(), self.k, "inputs");
        assert_eq!(y.len(), rows.len() * self.n, "outputs");
        let mut product = |left: Left| {
            let product = Product {
                left,
                ld: x.ld(),
                m: rows.len(),
                right: &Forward(self),
                out: SharedMut::new(y),
                out_at: 0,
                out_ld: self.n,
                mode,
                factor: 1.0,
                scale: self.scale(),
                bias: self.bias.as_deref(),
            };
            run(cpu, &[product]);
        };
        if let Store::Offset(..) = &self.store {
            return ACTIVATIONS.with_borrow_mut(|activations| {
                activations.set(cpu, rows.len(), self.k, |i| x.values(rows.start + i));
                product(Left::Integer(activations.rows()));
            });
        }
        product(x.left(rows.start, 0));
    }

    /// `dx = dy W` or `dx += dy W`. Where there is a [`FrozenLinear::scale`], `dy`'s columns must have
    /// been multiplied by it ([`Rows::set`] does).
    pub fn backward(&self, cpu: &Cpu, scaled_dy: &Rows, dx: &mut [f32], mode: Mode) {
        assert_eq!(scaled_dy.columns(), self.n, "outputs");
        assert_eq!(dx.len(), scaled_dy.len() * self.k, "inputs");
        let right = Backward(self);
        run(
            cpu,
            &[Product {
                left: scaled_dy.left(0, 0),
                ld: scaled_dy.ld(),
                m: scaled_dy.len(),
                right: &right,
                out: SharedMut::new(dx),
                out_at: 0,
                out_ld: self.k,
                mode,
                factor: 1.0,
                scale: None,
                bias: None,
            }],
        );
    }

    /// Scale of each output row, for int8.
    pub fn scale(&self) -> Option<&[f32]> {
        match &self.store {
            Store::Int8(_, s) | Store::Offset(_, s) => Some(s),
            _ => None,
        }
    }
}

crate::cpu::multiversion! {
    /// Rounds a row to int8; returns the scale. A row of zeros has scale 0.
    fn quantise(isa, row: &[f32], out: &mut [i8]) -> f32 {
        let mut lanes = [0.0_f32; 16];
        let (chunks, rest) = row.as_chunks::<16>();
        for c in chunks {
            for i in 0..16 { lanes[i] = lanes[i].max(c[i].abs()); }
        }
        let mut largest = 0.0_f32;
        for v in lanes.iter().chain(rest) { largest = largest.max(v.abs()); }
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        // Rounding to nearest even by adding 1.5 * 2^23; the low byte of the sum is the integer.
        for (o, w) in out.iter_mut().zip(row) {
            *o = w.mul_add(inverse, 12_582_912.0).to_bits() as i8;
        }
        largest / 127.0
    }
}

crate::cpu::multiversion! {
    /// `[16 n][k]` to `[pairs of k][16 n][2]`.
    fn interleave(isa, rows: &[i8], out: &mut [i8]) {
        let (rows, _) = rows.as_chunks::<2>();
        let pairs = rows.len() / BLOCK;
        let (out, _) = out.as_chunks_mut::<2>();
        for (pair, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            for (j, o) in out.iter_mut().enumerate() {
                *o = rows[j * pairs + pair];
            }
        }
    }
}

crate::cpu::multiversion! {
    /// `[16 n][k]` to `[fours of k][16 n][4]`, without signs.
    fn interleave_offset(isa, rows: &[i8], out: &mut [u8]) {
        let (rows, _) = rows.as_chunks::<4>();
        let fours = rows.len() / BLOCK;
        let (out, _) = out.as_chunks_mut::<4>();
        for (four, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            for (j, o) in out.iter_mut().enumerate() {
                *o = rows[j * fours + four].map(integer::stored);
            }
        }
    }
}

/// What a product in f32 or bf16 says of weights that were packed for integer products.
const INTEGER: &str = "weights packed for integer products";

/// k = inputs, n = outputs.
struct Forward<'a>(&'a FrozenLinear);

impl Pack for Forward<'_> {
    fn n(&self) -> usize {
        self.0.n
    }

    fn k(&self) -> usize {
        self.0.k
    }

    fn stored_bf16(&self, block: usize) -> Option<&[u16]> {
        let size = self.0.k.div_ceil(K_TILE) * TILE;
        match &self.0.store {
            Store::Bf16(v) => Some(&v[block * size..][..size]),
            _ => None,
        }
    }

    fn stored_int8(&self, block: usize) -> Option<&[i8]> {
        let size = self.0.k.div_ceil(K_TILE) * TILE;
        match &self.0.store {
            Store::Int8(v, _) => Some(&v[block * size..][..size]),
            _ => None,
        }
    }

    fn stored_f32(&self, block: usize) -> Option<&[f32]> {
        let size = self.0.k * BLOCK;
        match &self.0.store {
            Store::F32(v) => Some(&v[block * size..][..size]),
            _ => None,
        }
    }

    fn stored_offset(&self, block: usize) -> Option<&[u8]> {
        let size = integer::block_bytes(self.0.k);
        match &self.0.store {
            Store::Offset(v, _) => Some(&v[block * size..][..size]),
            _ => None,
        }
    }

    fn pack_bf16(&self, _isa: Isa, block: usize, out: &mut [u16]) {
        let size = self.0.k.div_ceil(K_TILE) * TILE;
        match &self.0.store {
            Store::Offset(..) => unreachable!("{INTEGER}"),
            Store::Bf16(_) => unreachable!("stored as it is"),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: bf16 products are run only where AVX-512 BF16 is.
            Store::Int8(v, _) => unsafe {
                crate::cpu::x86::expand_int8(&v[block * size..][..size], out)
            },
            #[cfg(not(target_arch = "x86_64"))]
            Store::Int8(v, _) => {
                for (o, q) in out.iter_mut().zip(&v[block * size..][..size]) {
                    *o = to_bf16(f32::from(*q));
                }
            }
            Store::F32(v) => {
                out.fill(0);
                for (p, row) in v[block * self.0.k * BLOCK..][..self.0.k * BLOCK]
                    .chunks_exact(BLOCK)
                    .enumerate()
                {
                    for (j, w) in row.iter().enumerate() {
                        out[(p / 2) * 2 * BLOCK + 2 * j + p % 2] = to_bf16(*w);
                    }
                }
            }
        }
    }

    fn pack_f32(&self, isa: Isa, block: usize, out: &mut [f32]) {
        let size = self.0.k.div_ceil(K_TILE) * TILE;
        match &self.0.store {
            Store::F32(_) => unreachable!("stored as it is"),
            Store::Offset(..) => unreachable!("{INTEGER}"),
            Store::Bf16(v) => untile_bf16(isa, &v[block * size..][..size], out),
            Store::Int8(v, _) => untile_int8(isa, &v[block * size..][..size], out),
        }
    }
}

crate::cpu::multiversion! {
    /// Pairs of k side by side to k after k.
    fn untile_bf16(isa, tiles: &[u16], out: &mut [f32]) {
        let (pairs, _) = tiles.as_chunks::<{ 2 * BLOCK }>();
        for (rows, pair) in out.chunks_mut(2 * BLOCK).zip(pairs) {
            let (even, odd) = rows.split_at_mut(BLOCK);
            for j in 0..BLOCK { even[j] = from_bf16(pair[2 * j]); }
            for (j, o) in odd.iter_mut().enumerate() { *o = from_bf16(pair[2 * j + 1]); }
        }
    }
}

crate::cpu::multiversion! {
    /// As `untile_bf16`.
    fn untile_int8(isa, tiles: &[i8], out: &mut [f32]) {
        let (pairs, _) = tiles.as_chunks::<{ 2 * BLOCK }>();
        for (rows, pair) in out.chunks_mut(2 * BLOCK).zip(pairs) {
            let (even, odd) = rows.split_at_mut(BLOCK);
            for j in 0..BLOCK { even[j] = f32::from(pair[2 * j]); }
            for (j, o) in odd.iter_mut().enumerate() { *o = f32::from(pair[2 * j + 1]); }
        }
    }
}

/// k = outputs, n = inputs.
struct Backward<'a>(&'a FrozenLinear);

impl Backward<'_> {
    /// `put(output, column of the block, weight)` for every weight of 16 inputs.
    #[inline(always)]
    fn each(&self, block: usize, mut put: impl FnMut(usize, usize, f32)) {
        let Self(w) = self;
        let first = block * BLOCK;
        let tiles = w.k.div_ceil(K_TILE);
        for output in 0..w.n {
            let (nb, j) = (output / BLOCK, output % BLOCK);
            for c in 0..(w.k - first).min(BLOCK) {
                let p = first + c;
                let at = nb * tiles * TILE + (p / 2) * 2 * BLOCK + 2 * j + p % 2;
                let value = match &w.store {
                    Store::F32(v) => v[(nb * w.k + p) * BLOCK + j],
                    Store::Bf16(v) => from_bf16(v[at]),
                    Store::Int8(v, _) => f32::from(v[at]),
                    Store::Offset(..) => unreachable!("{INTEGER}"),
                };
                put(output, c, value);
            }
        }
    }
}

impl Pack for Backward<'_> {
    fn n(&self) -> usize {
        self.0.inputs()
    }

    fn k(&self) -> usize {
        self.0.outputs()
    }

    fn pack_bf16(&self, _isa: Isa, block: usize, out: &mut [u16]) {
        #[cfg(target_arch = "x86_64")]
        {
            use crate::cpu::x86::{Tiles, transpose_tiles};
            let (blocks, tiles) = (self.0.n.div_ceil(BLOCK), self.0.k.div_ceil(K_TILE));
            let from = match &self.0.store {
                Store::F32(_) | Store::Offset(..) => None,
                Store::Bf16(v) => Some(Tiles::Bf16(v)),
                Store::Int8(v, _) => Some(Tiles::Int8(v)),
            };
            if let Some(from) = from {
                // SAFETY: bf16 products are run only where AVX-512 BF16 is; the store holds these tiles.
                return unsafe { transpose_tiles(from, blocks, tiles, block, out) };
            }
        }
        out.fill(0);
        self.each(block, |p, c, w| {
            out[(p / 2) * 2 * BLOCK + 2 * c + p % 2] = to_bf16(w)
        });
    }

    fn pack_f32(&self, isa: Isa, block: usize, out: &mut [f32]) {
        let Self(w) = self;
        let tiles = w.k.div_ceil(K_TILE);
        if w.k < (block + 1) * BLOCK {
            out.fill(0.0);
            return self.each(block, |p, c, w| out[p * BLOCK + c] = w);
        }
        for (nb, rows) in out.chunks_mut(BLOCK * BLOCK).enumerate() {
            let at = (nb * tiles + block / 2) * TILE + (block % 2) * (TILE / 2);
            match &w.store {
                Store::F32(v) => {
                    let from = &v[(nb * w.k + block * BLOCK) * BLOCK..][..BLOCK * BLOCK];
                    transpose_f32(isa, from, rows);
                }
                Store::Bf16(v) => transpose_bf16(isa, &v[at..at + TILE / 2], rows),
                Store::Int8(v, _) => transpose_int8(isa, &v[at..at + TILE / 2], rows),
                Store::Offset(..) => unreachable!("{INTEGER}"),
            }
        }
    }
}

crate::cpu::multiversion! {
    /// `[16 k][16 n]` to `[n][16 k]`.
    fn transpose_f32(isa, from: &[f32], out: &mut [f32]) {
        for (j, row) in out.chunks_exact_mut(BLOCK).enumerate() {
            for c in 0..BLOCK { row[c] = from[c * BLOCK + j]; }
        }
    }
}

crate::cpu::multiversion! {
    /// `[8 pairs of k][16 n][2]` to `[n][16 k]`.
    fn transpose_bf16(isa, from: &[u16], out: &mut [f32]) {
        for (j, row) in out.chunks_exact_mut(BLOCK).enumerate() {
            for c in 0..BLOCK { row[c] = from_bf16(from[(c / 2) * 2 * BLOCK + 2 * j + c % 2]); }
        }
    }
}

crate::cpu::multiversion! {
    /// As `transpose_bf16`.
    fn transpose_int8(isa, from: &[i8], out: &mut [f32]) {
        for (j, row) in out.chunks_exact_mut(BLOCK).enumerate() {
            for c in 0..BLOCK { row[c] = f32::from(from[(c / 2) * 2 * BLOCK + 2 * j + c % 2]); }
        }
    }
}
