//! Work recorded once and queued many times.

use cudarc::driver::{result, sys};

use super::error::GpuResult;
use super::{Gpu, Inner};
use std::sync::Arc;

/// Recorded kernels. The memory they name must stay where it is as long as the graph is launched.
pub struct Graph {
    graph: sys::CUgraph,
    executable: sys::CUgraphExec,
    inner: Arc<Inner>,
}

// SAFETY: graph handles may be used from any thread, one at a time; launching takes `&mut self`.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Graph")
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let _ = self.inner.context.bind_to_thread();
        // SAFETY: made by `record`, destroyed once, after the work that may still run.
        unsafe {
            let _ = self.inner.stream.synchronize();
            let _ = result::graph::exec_destroy(self.executable);
            let _ = result::graph::destroy(self.graph);
        }
    }
}

/// A stream that records; it stops when this goes, however that comes about.
struct Recording(sys::CUstream);

impl Recording {
    /// Whether something that another thread did has spoilt it.
    fn is_spoilt(&self) -> bool {
        use sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_INVALIDATED as SPOILT;
        // SAFETY: the stream records.
        unsafe { result::stream::is_capturing(self.0) }.is_ok_and(|status| status == SPOILT)
    }

    fn end(self) -> Result<sys::CUgraph, cudarc::driver::DriverError> {
        let stream = self.0;
        std::mem::forget(self);
        // SAFETY: the stream records.
        unsafe { result::stream::end_capture(stream) }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: as above; what was recorded is destroyed.
        unsafe {
            if let Ok(graph) = result::stream::end_capture(self.0)
                && !graph.is_null()
            {
                let _ = result::graph::destroy(graph);
            }
        }
    }
}

/// Times that a recording is tried.
const RECORDINGS: usize = 8;

/// A recorded graph that has not been instantiated yet.
struct Captured(sys::CUgraph);

impl Captured {
    fn keep(self) -> sys::CUgraph {
        let graph = self.0;
        std::mem::forget(self);
        graph
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // SAFETY: recorded, and destroyed once.
        let _ = unsafe { result::graph::destroy(self.0) };
    }
}

impl Gpu {
    /// Records what `work` queues, without running it. `work` must not take or give back memory, nor wait. It
    /// is run again where a recording was spoilt, as it now and then is by what other threads ask of the driver on
    /// the same GPU.
    ///
    /// # Errors
    /// What `work` says, or the driver.
    pub fn record<E: From<super::GpuError>>(
        &self,
        work: impl Fn() -> Result<(), E>,
    ) -> Result<Graph, E> {
        let stream = self.inner.stream.cu_stream();
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let mut left = RECORDINGS;
        let graph = loop {
            // SAFETY: the stream is ours, and the capture ends below whatever `work` says.
            let begun = unsafe { result::stream::begin_capture(stream, mode) };
            self.inner.check("begin to record", begun)?;
            let recording = Recording(stream);
            let done = work();
            left -= 1;
            if recording.is_spoilt() && left > 0 {
                continue;
            }
            done?;
            break Captured(self.graph_of("end recording", recording.end())?);
        };
        let mut executable = std::ptr::null_mut();
        // SAFETY: `graph` is whole.
        let made =
            unsafe { sys::cuGraphInstantiateWithFlags(&raw mut executable, graph.0, 0) }.result();
        self.inner.check("make a graph", made)?;
        let graph = graph.keep();
        Ok(Graph {
            graph,
            executable,
            inner: Arc::clone(&self.inner),
        })
    }

    fn graph_of(
        &self,
        call: &str,
        graph: Result<sys::CUgraph, cudarc::driver::DriverError>,
    ) -> GpuResult<sys::CUgraph> {
        match graph {
            Ok(graph) => Ok(graph),
            Err(e) => {
                self.inner.check(call, Err(e))?;
                unreachable!("an error was returned")
            }
        }
    }
}

impl Graph {
    /// Queues the recorded work.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn launch(&mut self) -> GpuResult<()> {
        // SAFETY: the graph is whole and on this stream.
        let done = unsafe { result::graph::launch(self.executable, self.inner.stream.cu_stream()) };
        self.inner.check("run a graph", done)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::cuda::Gpu;
    use crate::cuda::testing::{WORKS, gpu};

    #[test]
    fn a_spoilt_recording_is_made_again() {
        let Some(shared) = gpu() else {
            return;
        };
        // A stream of its own: other tests wait on theirs.
        let gpu = Gpu::open(shared.ordinal(), None).expect(WORKS);
        let numbers = gpu.upload(&[1_u32; 8]).expect(WORKS);
        let tries = Cell::new(0);
        let mut graph = gpu
            .record(|| {
                tries.set(tries.get() + 1);
                if tries.get() < 3 {
                    // To wait for what is being recorded is an error, which spoils the recording.
                    gpu.synchronize()?;
                }
                gpu.clear(numbers.part(0..4))
            })
            .expect("recorded");
        assert!(tries.get() >= 3, "{} tries", tries.get());
        let read = || gpu.download(numbers.view()).expect(WORKS);
        assert_eq!(read(), [1; 8], "nothing has run yet");
        graph.launch().expect(WORKS);
        assert_eq!(read(), [0, 0, 0, 0, 1, 1, 1, 1]);
        let always = gpu.record(|| gpu.synchronize());
        assert!(always.is_err());
        gpu.clear(numbers.view()).expect("the stream still works");
        assert_eq!(read(), [0; 8]);
    }
}
