//! A second stream, for work that another piece of work will wait for later.

use cudarc::driver::{result, sys};
use std::sync::Arc;

use super::error::GpuResult;
use super::{Gpu, Inner};

/// A point in a stream's work, recorded anew each time.
pub struct Event {
    event: sys::CUevent,
    inner: Arc<Inner>,
}

// SAFETY: event handles may be used from any thread.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event")
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `event`, destroyed once.
        let _ = unsafe { result::event::destroy(self.event) };
    }
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The default of all work.
    Main,
    /// The second one.
    Side,
}

impl Inner {
    pub(super) fn lane(&self, lane: Lane) -> sys::CUstream {
        match lane {
            Lane::Main => self.stream.cu_stream(),
            Lane::Side => self.side.cu_stream(),
        }
    }
}

impl Gpu {
    /// An event that has not been recorded yet: waiting for it returns at once.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn event(&self) -> GpuResult<Event> {
        self.enter()?;
        let made = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING);
        let inner = Arc::clone(&self.inner);
        match made {
            Ok(event) => Ok(Event { event, inner }),
            Err(e) => {
                self.inner.check("make an event", Err(e))?;
                unreachable!("an error was returned")
            }
        }
    }

    /// Records the event after what a lane has been given so far.
    pub(crate) fn record_event(&self, event: &Event, lane: Lane) -> GpuResult<()> {
        // SAFETY: both live.
        let done = unsafe { result::event::record(event.event, self.inner.lane(lane)) };
        event.inner.check("record an event", done)
    }

    /// Waits, on the host, until the device has come to the event.
    pub(super) fn wait_for(&self, event: &Event) -> GpuResult<()> {
        // SAFETY: it lives.
        let done = unsafe { result::event::synchronize(event.event) };
        self.inner.check("wait for an event", done)
    }

    /// Makes what a lane is given from now on wait for the event.
    pub(crate) fn await_event(&self, event: &Event, lane: Lane) -> GpuResult<()> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: both live.
        let done = unsafe { result::stream::wait_event(self.inner.lane(lane), event.event, flags) };
        self.inner.check("wait for an event", done)
    }
}
