//! The one matrix product: strips of 32 rows against blocks of 16 packed columns.
//!
//! Whatever the operands are (frozen weights forward or transposed, adapters, gradients), columns are
//! packed block by block into the layout the inner kernel reads, and every output element is one chain
//! over k in rising order. Blocking chooses only which elements are computed when.

use std::cell::RefCell;

use crate::cpu::layout::{BLOCK, K_TILE, STRIP};
use crate::cpu::{Cpu, Isa, SharedMut};
use crate::integer::{self, QuantizedRows};

const SCRATCH_BYTES: usize = 448 * 1024;
const MAX_BLOCKS: usize = 8;

/// The right-hand side of a product: k × n, given out in packed blocks of 16 columns.
/// Columns and rows beyond the matrix are zeros.
pub(crate) trait Pack: Sync {
    fn n(&self) -> usize;
    fn k(&self) -> usize;
    /// The block as stored, when it is stored in bf16 tiles.
    fn stored_bf16(&self, _block: usize) -> Option<&[u16]> {
        None
    }
    /// The block as stored, when it is stored in f32.
    fn stored_f32(&self, _block: usize) -> Option<&[f32]> {
        None
    }
    /// The block as stored, when it is stored in int8 tiles that are multiplied as bf16.
    fn stored_int8(&self, _block: usize) -> Option<&[i8]> {
        None
    }
    /// The block as stored, when it is stored for integer products.
    fn stored_offset(&self, _block: usize) -> Option<&[u8]> {
        None
    }
    fn pack_bf16(&self, isa: Isa, block: usize, out: &mut [u16]);
    fn pack_f32(&self, isa: Isa, block: usize, out: &mut [f32]);
}

/// The left-hand side: `m` rows of `k` values, `ld` apart. bf16 rows may be read up to the next
/// multiple of [`K_TILE`], and [`STRIP`] rows beyond the last.
#[derive(Clone, Copy)]
pub(crate) enum Left {
    F32(*const f32),
    Bf16(*const u16),
    /// Two quantized rows for each row: see [`integer`].
    Integer(QuantizedRows),
}

/// What becomes of a finished sum `v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `out = factor * scale[column] * v + bias[column]`
    Assign,
    /// `out += factor * scale[column] * v + bias[column]`
    Add,
    /// The chain starts from `out`: `out = out + v`, with `factor`, `scale` and `bias` unused. Products
    /// over parts of the inner dimension, one after the other, give the bits of one product over all.
    Continue,
}

/// One product, ready to run.
pub(crate) struct Product<'a> {
    pub(crate) left: Left,
    pub(crate) ld: usize,
    pub(crate) m: usize,
    pub(crate) right: &'a dyn Pack,
    pub(crate) out: SharedMut<f32>,
    pub(crate) out_at: usize,
    pub(crate) out_ld: usize,
    pub(crate) mode: Mode,
    pub(crate) factor: f32,
    pub(crate) scale: Option<&'a [f32]>,
    pub(crate) bias: Option<&'a [f32]>,
}

// SAFETY: the pointers are only read (left) or written in disjoint parts (out), as `run` documents.
unsafe impl Sync for Product<'_> {}

struct Task {
    product: usize,
    blocks: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// The sums of one strip and two blocks.
#[repr(C, align(64))]
struct Sums([f32; STRIP * 2 * BLOCK]);

struct Scratch {
    packed: Vec<Line>,
    sums: Box<Sums>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        packed: Vec::new(),
        sums: Box::new(Sums([0.0; STRIP * 2 * BLOCK])),
    });
}

/// Runs the products, which must write disjoint elements.
pub(crate) fn run(cpu: &Cpu, products: &[Product<'_>]) {
    let mut tasks = Vec::new();
    for (index, p) in products.iter().enumerate() {
        split(cpu, index, p, products.len(), &mut tasks);
    }
    cpu.each(tasks.len(), |i| {
        let task = &tasks[i];
        let product = &products[task.product];
        SCRATCH.with_borrow_mut(|scratch| match product.left {
            Left::F32(_) => run_f32(cpu.isa(), product, task, scratch),
            Left::Bf16(_) => run_bf16(cpu.isa(), product, task, scratch),
            Left::Integer(rows) => run_integer(cpu.isa(), product, rows, task, &mut scratch.sums),
        });
    });
}

/// Cuts a product into tasks: column groups that fit the L2 cache once packed; rows are cut too where
/// there are too few columns to keep every thread busy.
fn split(cpu: &Cpu, index: usize, p: &Product<'_>, products: usize, tasks: &mut Vec<Task>) {
    if p.m == 0 || p.right.n() == 0 {
        return;
    }
    let blocks = p.right.n().div_ceil(BLOCK);
    let bytes = match p.left {
        Left::F32(_) => p.right.k() * BLOCK * 4,
        Left::Bf16(_) => p.right.k().next_multiple_of(K_TILE) * BLOCK * 2,
        Left::Integer(_) => integer::block_bytes(p.right.k()),
    };
    let wanted = if products >= 2 * cpu.threads() {
        1
    } else {
        4 * cpu.threads()
    };
    let mut group = (SCRATCH_BYTES / bytes.max(1)).clamp(2, MAX_BLOCKS) & !1;
    while group > 2 && blocks.div_ceil(group) < wanted {
        group -= 2;
    }
    let groups = blocks.div_ceil(group);
    let chunks = (wanted / groups).clamp(1, (p.m / 64).max(1));
    let rows = p.m.div_ceil(chunks).next_multiple_of(STRIP);
    for start in (0..p.m).step_by(rows) {
        for block in (0..blocks).step_by(group) {
            tasks.push(Task {
                product: index,
                blocks: block..(block + group).min(blocks),
                rows: start..(start + rows).min(p.m),
            });
        }
    }
}

/// Blocks that are packed before the strips run over them: all of a task's, so that each is packed once;
/// two where there is a single strip, which then finds them in the L1 cache.
fn bundles(task: &Task) -> impl Iterator<Item = std::ops::Range<usize>> {
    let size = if task.rows.len() <= STRIP {
        2
    } else {
        task.blocks.len()
    };
    let end = task.blocks.end;
    task.blocks
        .clone()
        .step_by(size)
        .map(move |start| start..(start + size).min(end))
}

fn run_f32(isa: Isa, p: &Product<'_>, task: &Task, scratch: &mut Scratch) {
    let Left::F32(left) = p.left else {
        unreachable!("f32 product of bf16 rows")
    };
    let k = p.right.k();
    let size = k * BLOCK;
    let Scratch { packed, sums } = scratch;
    for bundle in bundles(task) {
        packed.resize(
            ((bundle.len() * size * 4).div_ceil(64)).max(packed.len()),
            Line([0; 64]),
        );
        let base = packed.as_mut_ptr().cast::<f32>();
        let mut blocks = [std::ptr::null(); MAX_BLOCKS];
        for (i, block) in bundle.clone().enumerate() {
            blocks[i] = match p.right.stored_f32(block) {
                Some(stored) => stored.as_ptr(),
                None => {
                    // SAFETY: `packed` holds `size` values for every block of the bundle.
                    let out = unsafe { std::slice::from_raw_parts_mut(base.add(i * size), size) };
                    p.right.pack_f32(isa, block, out);
                    out.as_ptr()
                }
            };
        }
        for strip in task.rows.clone().step_by(STRIP) {
            let rows = (task.rows.end - strip).min(STRIP);
            // SAFETY: row `strip` is in the left operand.
            let a = unsafe { left.add(strip * p.ld) };
            for (i, pair) in blocks[..bundle.len()].chunks(2).enumerate() {
                let block = bundle.start + 2 * i;
                let continued = begin(p, strip, rows, block, pair.len(), sums);
                for (half, b) in pair.iter().enumerate() {
                    // SAFETY: `rows` rows of `k` values at `a`, `k` rows of 16 at `b`, sums of a strip.
                    unsafe {
                        let c = sums.0.as_mut_ptr().add(half * BLOCK);
                        strip_f32(isa, a, p.ld, rows, *b, k, continued, c);
                    }
                }
                finish(isa, p, strip, rows, block, pair.len(), sums);
            }
        }
    }
}

/// Weights are read as they are stored, and a pair of blocks stays in the L1 cache while the strips run over it.
fn run_integer(isa: Isa, p: &Product<'_>, rows: QuantizedRows, task: &Task, sums: &mut Sums) {
    assert!(p.mode != Mode::Continue, "integer products start from zero");
    for first in task.blocks.clone().step_by(2) {
        let blocks = (task.blocks.end - first).min(2);
        for strip in task.rows.clone().step_by(STRIP / 2) {
            let count = (task.rows.end - strip).min(STRIP / 2);
            for half in 0..blocks {
                let Some(stored) = p.right.stored_offset(first + half) else {
                    unreachable!("integer product of other weights")
                };
                // SAFETY: `count` pairs of rows from `strip` on, the weights of a block, sums of a strip.
                unsafe {
                    let c = sums.0.as_mut_ptr().add(half * BLOCK);
                    integer::strip(isa, rows.from(2 * strip), 2 * count, stored.as_ptr(), c);
                }
            }
            integer::add_pairs(isa, &mut sums.0, count);
            finish(isa, p, strip, count, first, blocks, sums);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn run_bf16(_: Isa, _: &Product<'_>, _: &Task, _: &mut Scratch) {
    unreachable!("bf16 products need x86-64");
}

#[cfg(target_arch = "x86_64")]
fn run_bf16(isa: Isa, p: &Product<'_>, task: &Task, scratch: &mut Scratch) {
    use crate::cpu::x86;
    let Left::Bf16(left) = p.left else {
        unreachable!("bf16 product of f32 rows")
    };
    let tiles = p.right.k().div_ceil(K_TILE);
    let size = tiles * K_TILE * BLOCK;
    let tiled = isa == Isa::Amx;
    let Scratch { packed, sums } = scratch;
    if tiled {
        // SAFETY: `Isa` is never above what the processor has.
        unsafe { x86::amx_begin() };
    }
    for bundle in bundles(task) {
        let rows = task.rows.len();
        if let (true, Some(b0)) = (
            tiled && rows <= STRIP / 2,
            p.right.stored_int8(bundle.start),
        ) {
            // Few rows read weights straight from memory: expanded tile by tile, never stored.
            let b1 = (bundle.len() > 1)
                .then(|| p.right.stored_int8(bundle.start + 1))
                .flatten();
            let continued = begin(p, task.rows.start, rows, bundle.start, bundle.len(), sums);
            // SAFETY: as above; operands as documented on `Left` and `Pack`.
            unsafe {
                let a = left.add(task.rows.start * p.ld);
                x86::amx_half_strip_int8(a, p.ld, b0, b1, continued, sums.0.as_mut_ptr());
            }
            finish(
                isa,
                p,
                task.rows.start,
                rows,
                bundle.start,
                bundle.len(),
                sums,
            );
            continue;
        }
        packed.resize(
            ((bundle.len() * size * 2).div_ceil(64)).max(packed.len()),
            Line([0; 64]),
        );
        let base = packed.as_mut_ptr().cast::<u16>();
        let mut blocks = [std::ptr::null(); MAX_BLOCKS];
        for (i, block) in bundle.clone().enumerate() {
            blocks[i] = match p.right.stored_bf16(block) {
                Some(stored) => stored.as_ptr(),
                None => {
                    // SAFETY: `packed` holds `size` values for every block of the bundle.
                    let out = unsafe { std::slice::from_raw_parts_mut(base.add(i * size), size) };
                    p.right.pack_bf16(isa, block, out);
                    out.as_ptr()
                }
            };
        }
        for strip in task.rows.clone().step_by(STRIP) {
            let rows = (task.rows.end - strip).min(STRIP);
            for (i, pair) in blocks[..bundle.len()].chunks(2).enumerate() {
                let block = bundle.start + 2 * i;
                let continued = begin(p, strip, rows, block, pair.len(), sums);
                let (b0, b1) = (pair[0], pair.get(1).copied());
                let c = sums.0.as_mut_ptr();
                // SAFETY: as above; operands as documented on `Left` and `Pack`.
                unsafe {
                    let a = left.add(strip * p.ld);
                    if tiled {
                        x86::amx_strip(a, p.ld, rows, b0, b1, tiles, continued, c);
                    } else {
                        x86::dot_strip(a, p.ld, rows, b0, tiles, continued, c);
                        if let Some(b1) = b1 {
                            x86::dot_strip(a, p.ld, rows, b1, tiles, continued, c.add(BLOCK));
                        }
                    }
                }
                finish(isa, p, strip, rows, block, pair.len(), sums);
            }
        }
    }
    if tiled {
        // SAFETY: as above.
        unsafe { x86::amx_end() };
    }
}

/// # Safety
/// `rows` rows of `k` values at `a`, `ld` apart; `k` × 16 values at `b`; a strip of sums at `c`.
#[allow(clippy::too_many_arguments)]
unsafe fn strip_f32(
    isa: Isa,
    a: *const f32,
    ld: usize,
    rows: usize,
    b: *const f32,
    k: usize,
    continued: bool,
    c: *mut f32,
) {
    // SAFETY: handed on.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        {
            use crate::cpu::x86;
            if isa >= Isa::Avx512 {
                return x86::f32_strip_avx512(a, ld, rows, b, k, continued, c);
            }
            if isa >= Isa::Avx2 {
                return x86::f32_strip_avx2(a, ld, rows, b, k, continued, c);
            }
        }
        let _ = isa;
        for row in 0..rows {
            let c = c.add(row * 2 * BLOCK);
            let mut sums = [0.0_f32; BLOCK];
            if continued {
                sums = std::array::from_fn(|j| *c.add(j));
            }
            for p in 0..k {
                let x = *a.add(row * ld + p);
                for j in 0..BLOCK {
                    sums[j] = x.mul_add(*b.add(p * BLOCK + j), sums[j]);
                }
            }
            for j in 0..BLOCK {
                *c.add(j) = sums[j];
            }
        }
    }
}

/// Columns of `out` that a pair of blocks covers, and their count.
fn columns(p: &Product<'_>, block: usize, blocks: usize) -> (usize, usize) {
    let first = block * BLOCK;
    (first, (p.right.n() - first).min(blocks * BLOCK))
}

/// Where the chain continues from `out`, sets the sums to it; returns whether it does.
fn begin(
    p: &Product<'_>,
    strip: usize,
    rows: usize,
    block: usize,
    blocks: usize,
    sums: &mut Sums,
) -> bool {
    if p.mode != Mode::Continue {
        return false;
    }
    sums.0.fill(0.0);
    let (first, count) = columns(p, block, blocks);
    for row in 0..rows {
        let at = p.out_at + (strip + row) * p.out_ld + first;
        // SAFETY: this task alone touches these elements.
        let out = unsafe { p.out.slice(at..at + count) };
        sums.0[row * 2 * BLOCK..][..count].copy_from_slice(out);
    }
    true
}

fn finish(
    isa: Isa,
    p: &Product<'_>,
    strip: usize,
    rows: usize,
    block: usize,
    blocks: usize,
    sums: &Sums,
) {
    let (first, count) = columns(p, block, blocks);
    let scale = p.scale.map(|s| &s[first..first + count]);
    let bias = p.bias.map(|b| &b[first..first + count]);
    let at = p.out_at + strip * p.out_ld + first;
    let strip = FinishedStrip {
        mode: p.mode,
        factor: p.factor,
        out: p.out,
        at,
        ld: p.out_ld,
        rows,
        columns: count,
    };
    finish_strip(isa, strip, scale, bias, &sums.0);
}

/// Where the sums of a strip go, and what becomes of them on the way. The slices of scale and bias are arguments beside
/// it: in a struct the compiler could not know that `out` does not overlap them.
#[derive(Clone, Copy)]
struct FinishedStrip {
    mode: Mode,
    factor: f32,
    out: SharedMut<f32>,
    /// First element written, and elements from one row to the next.
    at: usize,
    ld: usize,
    rows: usize,
    columns: usize,
}

crate::cpu::multiversion! {
    fn finish_strip(
        isa, strip: FinishedStrip, scale: Option<&[f32]>, bias: Option<&[f32]>, sums: &[f32],
    ) {
        let FinishedStrip { mode, factor, out, at, ld, rows, columns: count } = strip;
        for (row, sums) in sums.chunks_exact(2 * BLOCK).take(rows).enumerate() {
            // SAFETY: this task alone touches these elements.
            let out = unsafe { out.slice(at + row * ld..at + row * ld + count) };
            match (mode, scale) {
                (Mode::Continue, _) => out.copy_from_slice(&sums[..count]),
                (Mode::Assign, None) => for (o, v) in out.iter_mut().zip(sums) { *o = v * factor; },
                (Mode::Assign, Some(s)) => for ((o, v), s) in out.iter_mut().zip(sums).zip(s) { *o = v * (s * factor); },
                (Mode::Add, None) => for (o, v) in out.iter_mut().zip(sums) { *o += v * factor; },
                (Mode::Add, Some(s)) => for ((o, v), s) in out.iter_mut().zip(sums).zip(s) { *o += v * (s * factor); },
            }
            if let (Some(b), true) = (bias, mode != Mode::Continue) {
                for (o, b) in out.iter_mut().zip(b) { *o += b; }
            }
        }
    }
}
