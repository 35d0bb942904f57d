//! One buffer for all memory of a pass, handed out front to back.

use verdict_kernels::cuda::{Buffer, Gpu, Plain, View};

use crate::error::Result;

/// Device memory that grows when a pass needs more.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    buffer: Option<Buffer<u8>>,
}

/// Hands out an arena, or only counts what would be handed out.
#[derive(Debug)]
pub(crate) struct Bump<'a> {
    from: Option<View<'a, u8>>,
    used: usize,
}

/// Where every part begins: what the widest accesses and cuBLASLt's best kernels ask.
const ALIGNMENT: usize = 256;
/// What a batch takes beside its pass: tokens, lists of tiles.
pub(crate) const BESIDE: usize = 64 << 20;
/// Grown by steps, so that batches of about one size share one allocation.
const STEP: usize = 16 << 20;

impl Arena {
    /// An arena of at least `bytes`. What was in it is gone.
    pub(crate) fn ensure(&mut self, gpu: &Gpu, bytes: usize) -> Result<Bump<'_>> {
        let held = self.buffer.as_ref().map_or(0, Buffer::len);
        if held < bytes {
            // The old one goes first: both may not fit.
            if self.buffer.take().is_some() {
                gpu.trim()?;
            }
            // A little more, where that leaves room for the rest of a pass.
            let spare = gpu.limit_bytes().saturating_sub(gpu.held_bytes() + BESIDE);
            let roomy = (bytes + bytes / 16)
                .next_multiple_of(STEP)
                .min(spare)
                .max(bytes);
            self.buffer = Some(gpu.alloc(roomy)?);
        }
        Ok(Bump {
            from: self.buffer.as_ref().map(Buffer::view),
            used: 0,
        })
    }

    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, Buffer::len)
    }
}

impl<'a> Bump<'a> {
    /// One that only counts.
    pub(crate) fn counting() -> Self {
        Self {
            from: None,
            used: 0,
        }
    }

    /// Bytes handed out so far.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The next `len` numbers; none when only counting.
    pub(crate) fn take<T: Plain>(&mut self, len: usize) -> Option<View<'a, T>> {
        let start = self.used;
        self.used = (start + len * size_of::<T>()).next_multiple_of(ALIGNMENT);
        Some(self.from?.part(start..start + len * size_of::<T>()).cast())
    }
}
