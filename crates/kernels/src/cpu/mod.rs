//! What an operation needs to know of the processor: threads, instruction set, product format.

pub(crate) mod gemm;
mod isa;
pub(crate) mod layout;
pub(crate) mod math;
mod memory;
mod pool;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub use isa::Isa;
pub use memory::{resize_buffer, zeros};
use pool::Pool;

use crate::number_formats::ComputeDtype;

/// A CPU as the operations see it.
#[derive(Debug)]
pub struct Cpu {
    pool: Pool,
    isa: Isa,
    compute: ComputeDtype,
}

impl Cpu {
    /// `threads` = 0 takes every core, and no more threads are started than there are cores. `compute` = `None` takes bf16
    /// where `isa` has it, f32 elsewhere.
    ///
    /// # Errors
    /// A text, when bf16 is requested on a processor without it or the threads cannot be started.
    pub fn new(threads: usize, compute: Option<ComputeDtype>, isa: Isa) -> Result<Self, String> {
        let compute = match compute {
            Some(ComputeDtype::Bf16) if !isa.has_bf16() => {
                return Err(format!(
                    "compute bf16 needs AVX-512 BF16 or AMX; this processor offers {isa}"
                ));
            }
            Some(c) => c,
            None if isa.has_bf16() => ComputeDtype::Bf16,
            None => ComputeDtype::F32,
        };
        if isa == Isa::Amx {
            isa::allow_amx();
        }
        memory::map_large_buffers();
        let pool = Pool::new(threads).map_err(|e| format!("threads: {e}"))?;
        Ok(Self { pool, isa, compute })
    }

    /// All cores, the best instruction set, the best product format.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn best() -> Result<Self, String> {
        Self::new(0, None, Isa::detect())
    }

    /// Instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Number format of the matrix products.
    pub fn compute(&self) -> ComputeDtype {
        self.compute
    }

    /// Number of worker threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Calls `work(i)` for every `i < tasks`, on all threads.
    pub(crate) fn each(&self, tasks: usize, work: impl Fn(usize) + Sync + Send) {
        self.pool.run(tasks, &work);
    }

    /// Calls `work(row, values)` for every row of a matrix with rows `width` long, on all threads.
    pub fn for_rows(
        &self,
        matrix: &mut [f32],
        width: usize,
        work: impl Fn(usize, &mut [f32]) + Sync + Send,
    ) {
        let rows = matrix.len() / width;
        let shared = SharedMut::new(matrix);
        self.each_range(rows, 16, |range| {
            for row in range {
                // SAFETY: one thread per row.
                work(row, unsafe { shared.slice(row * width..(row + 1) * width) });
            }
        });
    }

    /// Calls `work(index, item)` for every item, on all threads.
    pub fn for_each_mut<T: Send>(
        &self,
        items: &mut [T],
        work: impl Fn(usize, &mut T) + Sync + Send,
    ) {
        let shared = SharedMut::new(items);
        self.each(items.len(), |i| {
            // SAFETY: one task per item.
            let item = unsafe { shared.slice(i..i + 1) };
            work(i, &mut item[0]);
        });
    }

    /// Calls `work(rows)` on pieces of `0..rows`, each at least `grain` long, on all threads.
    pub(crate) fn each_range(
        &self,
        rows: usize,
        grain: usize,
        work: impl Fn(std::ops::Range<usize>) + Sync + Send,
    ) {
        let pieces = (rows / grain.max(1)).clamp(1, self.threads() * 4);
        let per = rows.div_ceil(pieces).max(1);
        self.each(rows.div_ceil(per), |i| {
            work(i * per..((i + 1) * per).min(rows));
        });
    }
}

/// A pointer that threads may share: each writes its own, disjoint part.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T>(*mut T, usize);

// SAFETY: every user writes disjoint ranges; `slice` documents that duty.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

impl<T> SharedMut<T> {
    pub(crate) fn new(data: &mut [T]) -> Self {
        Self(data.as_mut_ptr(), data.len())
    }

    /// # Safety
    /// No two living slices may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, range: std::ops::Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.1);
        // SAFETY: in bounds; disjointness is the caller's duty.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(range.start), range.len()) }
    }
}

/// Compiles one body three times, for AVX-512, AVX2 and the baseline, and picks at run time.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($isa:ident $(, $arg:ident : $ty:ty)* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($isa: $crate::cpu::Isa $(, $arg: $ty)*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                if $isa >= $crate::cpu::Isa::Avx512 {
                    // SAFETY: `Isa` is never above what the processor has.
                    return unsafe { avx512($($arg),*) };
                }
                if $isa >= $crate::cpu::Isa::Avx2 {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            let _ = $isa;
            body($($arg),*)
        }
    };
}
pub(crate) use multiversion;
