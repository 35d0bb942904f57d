//! Where the time of queued work goes, kernel by kernel.
//!
//! With a profile on, an event is recorded after every kernel; the time between two events is the
//! kernel's own and the gap before it. Recording costs a microsecond or two each, so the sum is a little
//! more than the same work takes without.

use std::collections::HashMap;

use cudarc::driver::{result, sys};

use super::Gpu;
use super::error::GpuResult;

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

#[derive(Default)]
pub(super) struct Profile {
    marks: Vec<(String, sys::CUevent)>,
}

// SAFETY: event handles may be used from any thread.
unsafe impl Send for Profile {}

impl Gpu {
    /// Begins to take times.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn start_profile(&self) -> GpuResult<()> {
        self.enter()?;
        *self.profile() = Some(Profile::default());
        self.mark(String::new)
    }

    /// Ends a profile and tells its times, longest first.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn end_profile(&self) -> GpuResult<Vec<KernelTime>> {
        self.enter()?;
        let Some(profile) = self.profile().take() else {
            return Ok(Vec::new());
        };
        self.synchronize()?;
        let mut sums: HashMap<String, (usize, f64)> = HashMap::new();
        for pair in profile.marks.windows(2) {
            // SAFETY: both events were recorded on this stream, and it has passed them.
            let ms = unsafe { result::event::elapsed(pair[0].1, pair[1].1) };
            let sum = sums.entry(pair[1].0.clone()).or_default();
            sum.0 += 1;
            sum.1 += f64::from(ms.unwrap_or(0.0));
        }
        for (_, event) in &profile.marks {
            // SAFETY: made by `mark`, destroyed once.
            let _ = unsafe { result::event::destroy(*event) };
        }
        let time = |(name, (count, ms))| KernelTime { name, count, ms };
        let mut times: Vec<KernelTime> = sums.into_iter().map(time).collect();
        times.sort_by(|a, b| b.ms.total_cmp(&a.ms));
        Ok(times)
    }

    /// Marks the end of what was just queued, where a profile is on.
    pub(super) fn mark(&self, name: impl FnOnce() -> String) -> GpuResult<()> {
        let mut profile = self.profile();
        let Some(profile) = profile.as_mut() else {
            return Ok(());
        };
        let made = result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT).and_then(|event| {
            // SAFETY: the event is new and the stream lives.
            unsafe { result::event::record(event, self.inner.stream.cu_stream()) }.map(|()| event)
        });
        let event = match made {
            Ok(event) => event,
            Err(e) => return self.inner.check("record an event", Err(e)),
        };
        profile.marks.push((name(), event));
        Ok(())
    }

    fn profile(&self) -> std::sync::MutexGuard<'_, Option<Profile>> {
        self.inner.profile.lock().unwrap_or_else(|e| e.into_inner())
    }
}
