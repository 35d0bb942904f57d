//! Where the time of queued work goes, kernel by kernel.
//!
//! With a profile on, an event is recorded after every kernel; the time between two events is the
//! kernel's own and the gap before it. Recording costs a microsecond or two each, so the sum is a little
//! more than the same work takes without.

use std::collections::HashMap;

use cudarc::driver::{DriverError, result, sys};

/// Kernels of one name.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct KernelTime {
    /// The kernel, or the shape of a product.
    pub name: String,
    /// Times it ran.
    pub count: usize,
    /// Milliseconds in all.
    pub ms: f64,
}

/// The events recorded so far.
#[derive(Default)]
pub(super) struct Profile {
    marks: Vec<(String, sys::CUevent)>,
}

// SAFETY: event handles may be used from any thread.
unsafe impl Send for Profile {}

impl Profile {
    /// Marks the end of what was just queued on a stream.
    pub(super) fn mark(&mut self, name: String, stream: sys::CUstream) -> Result<(), DriverError> {
        let event = result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT)?;
        // SAFETY: the event is new and the stream lives.
        unsafe { result::event::record(event, stream) }?;
        self.marks.push((name, event));
        Ok(())
    }

    /// The times between the marks by name, longest first. The stream has passed all of them.
    pub(super) fn times(self) -> Vec<KernelTime> {
        let mut sums: HashMap<String, (usize, f64)> = HashMap::new();
        for pair in self.marks.windows(2) {
            // SAFETY: both events were recorded on this stream, and it has passed them.
            let ms = unsafe { result::event::elapsed(pair[0].1, pair[1].1) };
            let sum = sums.entry(pair[1].0.clone()).or_default();
            sum.0 += 1;
            sum.1 += f64::from(ms.unwrap_or(0.0));
        }
        for (_, event) in &self.marks {
            // SAFETY: made by `mark`, destroyed once.
            let _ = unsafe { result::event::destroy(*event) };
        }
        let time = |(name, (count, ms))| KernelTime { name, count, ms };
        let mut times: Vec<KernelTime> = sums.into_iter().map(time).collect();
        times.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        times
    }
}
