//! Page-locked host memory on its way to the device: while one piece is sent, the other is filled.

use std::ffi::c_void;

use cudarc::driver::result;

use super::error::GpuResult;
use super::{Event, Gpu, Lane, View};

/// Two pieces of host memory that the device reads by itself, used in turns.
///
/// Copies from memory of any other kind go through a buffer of the driver's, at a third of the speed, and
/// the caller waits for them.
#[derive(Debug)]
pub struct Staging {
    pieces: [Piece; 2],
    turn: usize,
    len: usize,
    gpu: Gpu,
}

#[derive(Debug)]
struct Piece {
    address: *mut u16,
    /// What was sent from it has left.
    sent: Event,
}

// SAFETY: the memory is this value's own, and page-locked memory may be touched from any thread.
unsafe impl Send for Staging {}

impl Staging {
    /// Two pieces of `len` numbers.
    ///
    /// # Errors
    /// Host memory that cannot be locked.
    pub fn new(gpu: &Gpu, len: usize) -> GpuResult<Self> {
        assert!(len > 0);
        gpu.enter()?;
        let piece = || {
            let sent = gpu.event()?;
            // SAFETY: the context is this thread's.
            let taken = unsafe { result::malloc_host(len * size_of::<u16>(), 0) };
            let outcome = taken.as_ref().map(|_| ()).map_err(|e| *e);
            gpu.inner.check("lock host memory", outcome)?;
            let address = taken.unwrap_or(std::ptr::null_mut()).cast::<u16>();
            // SAFETY: `len` numbers were taken; zeros are numbers.
            unsafe { address.write_bytes(0, len) };
            Ok(Piece { address, sent })
        };
        Ok(Self {
            pieces: [piece()?, piece()?],
            turn: 0,
            len,
            gpu: gpu.clone(),
        })
    }

    /// The GPU that it feeds.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Numbers of a piece.
    pub(crate) fn piece_len(&self) -> usize {
        self.len
    }

    /// Memory for what is sent next, once what was sent from it before has left.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn fill(&mut self) -> GpuResult<&mut [u16]> {
        let piece = &self.pieces[self.turn];
        self.gpu.wait_for(&piece.sent)?;
        // SAFETY: the piece holds `len` numbers, which nothing else reads now.
        Ok(unsafe { std::slice::from_raw_parts_mut(piece.address, self.len) })
    }

    /// Sends the first numbers of what was filled, as many as `to` takes; it is filled again after the other
    /// piece.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn send(&mut self, to: View<'_, u16>) -> GpuResult<()> {
        assert!(to.len() <= self.len);
        let piece = &self.pieces[self.turn];
        // SAFETY: as in `fill`; nothing writes to it before `sent` has passed.
        let from = unsafe { std::slice::from_raw_parts(piece.address, to.len()) };
        self.gpu.write(from, to)?;
        self.gpu.record_event(&piece.sent, Lane::Main)?;
        self.turn = 1 - self.turn;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = self.gpu.enter();
        for piece in &self.pieces {
            let _ = self.gpu.wait_for(&piece.sent);
            // SAFETY: taken in `new`, given back once, after the copies from it.
            let _ = unsafe { result::free_host(piece.address.cast::<c_void>()) };
        }
    }
}
