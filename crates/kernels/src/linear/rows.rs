//! Rows ready to be the left operand of products, in the format the products take.

use std::ops::Range;

use crate::cpu::gemm::Left;
use crate::cpu::layout::{K_TILE, STRIP};
use crate::cpu::math::{from_bf16, row_to_bf16};
use crate::cpu::{Cpu, SharedMut, resize_buffer};
use crate::number_formats::ComputeDtype;

/// A matrix `[rows, columns]` in f32 or bf16, as the machine's products want it.
#[derive(Debug, Default)]
pub struct Rows {
    len: usize,
    columns: usize,
    ld: usize,
    data: Data,
}

#[derive(Debug)]
pub(crate) enum Data {
    F32(Vec<f32>),
    Bf16(Vec<u16>),
}

impl Default for Data {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

impl Rows {
    /// Room for `len` rows of `columns`, zero. Takes the memory of `self`.
    fn reshape(&mut self, cpu: &Cpu, len: usize, columns: usize) {
        self.len = len;
        self.columns = columns;
        match cpu.compute() {
            ComputeDtype::F32 | ComputeDtype::Int16 => {
                self.ld = columns;
                if !matches!(self.data, Data::F32(_)) {
                    self.data = Data::F32(Vec::new());
                }
            }
            ComputeDtype::Bf16 => {
                // A product may begin at any column and read whole tiles: what follows the last column
                // is zeros of the row's own, never a neighbour's values, which might not be finite.
                self.ld = (columns + K_TILE - 1).next_multiple_of(K_TILE);
                if !matches!(self.data, Data::Bf16(_)) {
                    self.data = Data::Bf16(Vec::new());
                }
            }
        }
        let size = (len + STRIP + 1) * self.ld.max(K_TILE);
        match &mut self.data {
            Data::F32(v) => resize_buffer(v, size),
            // Values beyond the last row are read with it; their sums are not kept.
            Data::Bf16(v) => resize_buffer(v, size),
        }
    }

    /// Takes over `x` `[T, ld]`, its first `columns` columns, each multiplied by `scale[column]` if given.
    pub fn set(&mut self, cpu: &Cpu, x: &[f32], ld: usize, columns: usize, scale: Option<&[f32]>) {
        let len = x.len() / ld;
        let row = |i: usize| &x[i * ld..][..columns];
        if let Some(s) = scale {
            return self.fill(cpu, len, columns, |i, out| {
                out.iter_mut()
                    .zip(row(i))
                    .zip(s)
                    .for_each(|((o, x), s)| *o = x * s);
            });
        }
        self.reshape(cpu, len, columns);
        let (isa, width) = (cpu.isa(), self.ld);
        match &mut self.data {
            Data::F32(v) => {
                let out = SharedMut::new(v);
                cpu.each_range(len, 16, |range| {
                    for i in range {
                        // SAFETY: one thread per row.
                        unsafe { out.slice(i * width..(i + 1) * width) }.copy_from_slice(row(i));
                    }
                });
            }
            Data::Bf16(v) => {
                let out = SharedMut::new(v);
                cpu.each_range(len, 16, |range| {
                    for i in range {
                        // SAFETY: one thread per row.
                        row_to_bf16(isa, row(i), unsafe {
                            out.slice(i * width..(i + 1) * width)
                        });
                    }
                });
            }
        }
    }

    /// Rows made one by one: `make(row, values)` fills each in f32.
    pub fn fill(
        &mut self,
        cpu: &Cpu,
        len: usize,
        columns: usize,
        make: impl Fn(usize, &mut [f32]) + Sync + Send,
    ) {
        self.reshape(cpu, len, columns);
        let ld = self.ld;
        let isa = cpu.isa();
        match &mut self.data {
            Data::F32(v) => {
                let out = SharedMut::new(v);
                cpu.each_range(len, 16, |range| {
                    for row in range {
                        // SAFETY: one thread per row.
                        make(row, unsafe { out.slice(row * ld..row * ld + columns) });
                    }
                });
            }
            Data::Bf16(v) => {
                let out = SharedMut::new(v);
                cpu.each_range(len, 16, |range| {
                    let mut values = vec![0.0; columns];
                    for row in range {
                        make(row, &mut values);
                        // SAFETY: one thread per row.
                        row_to_bf16(isa, &values, unsafe { out.slice(row * ld..(row + 1) * ld) });
                    }
                });
            }
        }
    }

    /// The transpose of `x` `[T, ld]`'s columns `columns`, one row each. Each of `blocks` (ranges of T)
    /// begins at a multiple of 32 columns, the gaps are zeros: the sum over T then runs example by
    /// example, wherever an example is in the batch.
    pub fn set_transposed(
        &mut self,
        cpu: &Cpu,
        x: &[f32],
        ld: usize,
        columns: Range<usize>,
        blocks: &[Range<usize>],
        factor: f32,
    ) {
        let k = padded(blocks);
        self.fill(cpu, columns.len(), k, |row, out| {
            out.fill(0.0);
            let mut at = 0;
            for block in blocks {
                for (o, t) in out[at..].iter_mut().zip(block.clone()) {
                    *o = x[t * ld + columns.start + row] * factor;
                }
                at += block.len().next_multiple_of(K_TILE);
            }
        });
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row as f32.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let range = row * self.ld..row * self.ld + self.columns;
        match &self.data {
            Data::F32(v) => v[range].to_vec(),
            Data::Bf16(v) => v[range].iter().map(|x| from_bf16(*x)).collect(),
        }
    }

    /// One row, where rows are f32.
    pub(crate) fn values(&self, row: usize) -> &[f32] {
        match &self.data {
            Data::F32(v) => &v[row * self.ld..][..self.columns],
            Data::Bf16(_) => unreachable!("integer product of bf16 rows"),
        }
    }

    pub(crate) fn ld(&self) -> usize {
        self.ld
    }

    /// Columns that may be read: zeros fill a row of bf16 up to the next tile.
    pub(crate) fn readable(&self) -> usize {
        self.columns.max(self.ld)
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    pub(crate) fn left(&self, row: usize, column: usize) -> Left {
        let at = row * self.ld + column;
        match &self.data {
            Data::F32(v) => Left::F32(v[at..].as_ptr()),
            Data::Bf16(v) => Left::Bf16(v[at..].as_ptr()),
        }
    }
}

/// Length of the blocks laid out with each at a multiple of 32.
pub(crate) fn padded(blocks: &[Range<usize>]) -> usize {
    blocks
        .iter()
        .map(|b| b.len().next_multiple_of(K_TILE))
        .sum()
}
