//! One NVIDIA GPU: its context, its stream, its memory, its kernels.
//!
//! The driver, cuBLASLt and NVRTC are opened at run time; a build needs nothing of CUDA, and a machine
//! without a GPU runs the same binary. Work goes to one stream, in order; what a caller hands to the side
//! stream is ordered against it by events.

mod blas;
mod compile;
mod error;
mod graph;
mod launch;
mod libraries;
mod memory;
mod module;
mod products;
mod profile;
mod side;
mod staging;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result};

pub use blas::{Element, Product};
pub use compile::is_kernel;
use error::failure;
pub use error::{GpuError, GpuResult};
pub use graph::Graph;
pub(crate) use launch::Arg;
pub use libraries::{GpuDevice, GpuProbe, Library, probe};
pub use memory::{Buffer, Plain, View};
pub use profile::KernelTime;
use profile::Profile;
pub use side::Event;
pub(crate) use side::Lane;
pub use staging::Staging;

/// A GPU, opened. Copies share it.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
    preparing: Arc<Preparing>,
}

/// Threads that compile. The last owner of the GPU waits for them when it is dropped: a process that ends while
/// NVRTC works unloads the library under it.
#[derive(Debug, Default)]
struct Preparing(Mutex<Vec<std::thread::JoinHandle<()>>>);

impl Drop for Preparing {
    fn drop(&mut self) {
        let threads = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // An error in it is reported when the kernel is used.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Gpu({}, {})",
            self.inner.context.ordinal(),
            self.inner.name
        )
    }
}

struct Inner {
    name: String,
    capability: (i32, i32),
    multiprocessors: usize,
    /// One for each source.
    kernels: [OnceLock<GpuResult<module::Loaded>>; compile::SOURCES.len()],
    architecture: String,
    /// Shared memory that a block may have.
    shared: i32,
    blas: Mutex<blas::Blas>,
    /// Most bytes that may be held, and whether a user set it.
    limit: usize,
    budget: bool,
    /// Memory to plan with: the budget, or 95 % of the GPU's total.
    plan: usize,
    profile: Mutex<Option<Profile>>,
    held: AtomicUsize,
    peak: AtomicUsize,
    // Last: the fields above are dropped while these exist.
    side: Arc<CudaStream>,
    stream: Arc<CudaStream>,
    context: Arc<CudaContext>,
}

// SAFETY: handles of CUDA may be used from any thread; what is not thread-safe is behind a mutex.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = self.context.bind_to_thread();
        let workspace = std::mem::take(&mut self.blas().workspace);
        if workspace != 0 {
            // SAFETY: taken in `open`, given back once, after the products that use it.
            let _ = unsafe { result::free_async(workspace, self.stream.cu_stream()) };
        }
        // Waits, and gives the system what the next one to open this GPU will count as free.
        let _ = self.trim();
    }
}

impl Gpu {
    /// Opens a GPU: context, kernels, cuBLASLt. `budget` bounds the memory it takes, in bytes.
    ///
    /// # Errors
    /// A machine without driver, library or such a GPU; kernels that do not compile.
    pub fn open(ordinal: usize, budget: Option<usize>) -> GpuResult<Self> {
        let probe = probe();
        libraries::open().map_err(GpuError::Missing)?;
        let Some(device) = probe.devices.get(ordinal) else {
            let found = match probe.devices.len() {
                0 => probe.missing.join("; "),
                1 => "this machine has one GPU, number 0".into(),
                n => format!("this machine has GPUs 0 to {}", n - 1),
            };
            return Err(GpuError::Missing(format!("cuda:{ordinal}: {found}")));
        };
        let capability = device.compute_capability;
        if capability < libraries::CAPABILITY_AT_LEAST {
            return Err(GpuError::Missing(format!(
                "cuda:{ordinal} ({}) has compute capability {}.{}, expected 8.0 or higher",
                device.name, capability.0, capability.1
            )));
        }
        let driver = |call: &str, e: DriverError| failure(ordinal, call, e.0);
        let context = CudaContext::new(ordinal).map_err(|e| driver("open", e))?;
        // SAFETY: work is ordered by the main stream, and by events of our own where the side stream joins it.
        unsafe { context.disable_event_tracking() };
        // The side stream gives way: it fills what the main one leaves idle.
        let lane = |priority| {
            let made = context.new_stream_with_priority(priority);
            made.map_err(|e| driver("make a stream", e))
        };
        let (stream, side) = (lane(-1)?, lane(0)?);
        keep_freed_memory(ordinal).map_err(|e| driver("set up the memory pool", e))?;
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = context.attribute(attribute).map_err(|e| driver("ask", e))? as usize;
        let attribute =
            sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let shared = context.attribute(attribute).map_err(|e| driver("ask", e))?;
        let architecture = format!("sm_{}{}", capability.0, capability.1);
        let (free, total) = context.mem_get_info().map_err(|e| driver("ask", e))?;
        let inner = Inner {
            name: device.name.clone(),
            capability,
            multiprocessors,
            kernels: [const { OnceLock::new() }; compile::SOURCES.len()],
            architecture,
            shared,
            blas: Mutex::new(blas::Blas::new()?),
            // Without a budget a twentieth stays for what the driver itself takes later.
            limit: budget.map_or(free - free / 20, |b| b.min(free)),
            budget: budget.is_some_and(|b| b <= free),
            plan: budget.unwrap_or(total - total / 20),
            profile: Mutex::default(),
            held: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            context,
            side,
            stream,
        };
        let workspace = inner.allocate(blas::WORKSPACE)?;
        inner.blas().workspace = workspace;
        Ok(Self {
            inner: Arc::new(inner),
            preparing: Arc::default(),
        })
    }

    /// Starts to compile (or read) the sources of these kernels, in parallel and in the background. A source that
    /// does not compile is reported when one of its kernels is used.
    pub fn prepare(&self, kernels: &[&str]) {
        let holders: std::collections::BTreeSet<usize> = kernels
            .iter()
            .filter_map(|name| compile::holder(name))
            .collect();
        for source in holders {
            let inner = Arc::clone(&self.inner);
            let thread = std::thread::spawn(move || {
                if inner.context.bind_to_thread().is_ok() {
                    let _ = inner.loaded(source);
                }
            });
            let threads = self.preparing.0.lock();
            threads.unwrap_or_else(PoisonError::into_inner).push(thread);
        }
    }

    /// Makes sure that these kernels are loaded: none may be while work is recorded.
    ///
    /// # Errors
    /// A source that does not compile.
    pub fn require(&self, kernels: &[&str]) -> GpuResult<()> {
        for name in kernels {
            let holder = compile::holder(name).unwrap_or_else(|| panic!("no kernel `{name}`"));
            self.inner.loaded(holder).as_ref().map_err(Clone::clone)?;
        }
        Ok(())
    }

    /// CUDA's number of this GPU.
    pub fn ordinal(&self) -> usize {
        self.inner.context.ordinal()
    }

    /// Its maker's name for it.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Such as (9, 0).
    pub fn compute_capability(&self) -> (i32, i32) {
        self.inner.capability
    }

    /// Streaming multiprocessors.
    pub(crate) fn multiprocessors(&self) -> usize {
        self.inner.multiprocessors
    }

    /// Shared memory that a block may have.
    pub(crate) fn shared_bytes(&self) -> usize {
        self.inner.shared as usize
    }

    /// Gives the system what is freed and kept: after this, what the process takes is what it holds.
    ///
    /// # Errors
    /// Whatever went wrong in queued work.
    pub fn trim(&self) -> GpuResult<()> {
        self.inner.trim()
    }

    /// Makes this GPU the calling thread's: once at the beginning of any work on a thread.
    ///
    /// # Errors
    /// A context that was lost.
    pub fn enter(&self) -> GpuResult<()> {
        self.inner
            .check("enter the context", self.inner.context.bind_to_thread())
    }

    /// Waits for all queued work.
    ///
    /// # Errors
    /// Whatever went wrong in that work.
    pub fn synchronize(&self) -> GpuResult<()> {
        self.inner
            .check("run the queued work", self.inner.stream.synchronize())
    }

    /// Most memory that was held at once, in bytes.
    pub fn peak_bytes(&self) -> usize {
        self.inner.peak.load(Ordering::Relaxed)
    }

    /// Memory held now, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.inner.held.load(Ordering::Relaxed)
    }

    /// Memory that sizes of work are planned with, whatever other processes hold: the budget, or the GPU's total.
    /// The same on every GPU of a model, so that the same work is cut in the same places.
    pub fn plan_bytes(&self) -> usize {
        self.inner.plan
    }

    /// Memory that may be held: the GPU's free memory when it was opened, or the budget.
    pub fn limit_bytes(&self) -> usize {
        self.inner.limit
    }
}

impl Gpu {
    /// Starts to measure times.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn start_profile(&self) -> GpuResult<()> {
        self.enter()?;
        *self.inner.profile() = Some(Profile::default());
        self.mark(String::new)
    }

    /// Ends a profile and returns its times, longest first.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn end_profile(&self) -> GpuResult<Vec<KernelTime>> {
        self.enter()?;
        let Some(profile) = self.inner.profile().take() else {
            return Ok(Vec::new());
        };
        self.synchronize()?;
        Ok(profile.times())
    }

    /// Marks the end of what was just queued, where a profile is on.
    fn mark(&self, name: impl FnOnce() -> String) -> GpuResult<()> {
        let mut profile = self.inner.profile();
        let Some(profile) = profile.as_mut() else {
            return Ok(());
        };
        let marked = profile.mark(name(), self.inner.stream.cu_stream());
        self.inner.check("record an event", marked)
    }
}

impl Inner {
    fn profile(&self) -> MutexGuard<'_, Option<Profile>> {
        self.profile.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn blas(&self) -> MutexGuard<'_, blas::Blas> {
        self.blas.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn allocate(&self, bytes: usize) -> GpuResult<u64> {
        let held = self.held.load(Ordering::Relaxed);
        let full = || GpuError::OutOfMemory {
            ordinal: self.context.ordinal(),
            wanted: bytes,
            held,
            limit: self.limit,
            budget: self.budget,
        };
        if held + bytes > self.limit {
            return Err(full());
        }
        // SAFETY: the stream is of the current context.
        let take = || unsafe { result::malloc_async(self.stream.cu_stream(), bytes) };
        let mut taken = take();
        if taken.is_err_and(|e| e.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY) {
            // What was freed may be kept in pieces that are too small.
            self.trim()?;
            taken = take();
        }
        let address = match taken {
            Err(e) if e.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY => return Err(full()),
            other => {
                self.check("take memory", other.as_ref().map(|_| ()).map_err(|e| *e))?;
                other.unwrap_or_default()
            }
        };
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(held, Ordering::Relaxed);
        Ok(address)
    }

    /// A kernel by name; its source is compiled when the first of its kernels is used.
    fn kernel(&self, name: &str) -> GpuResult<module::Kernel> {
        let holder = compile::holder(name).unwrap_or_else(|| panic!("no kernel `{name}`"));
        let loaded = self.loaded(holder).as_ref().map_err(Clone::clone)?;
        Ok(loaded
            .get(name)
            .unwrap_or_else(|| panic!("no kernel `{name}`")))
    }

    fn loaded(&self, source: usize) -> &GpuResult<module::Loaded> {
        self.kernels[source].get_or_init(|| {
            let ordinal = self.context.ordinal();
            let source = compile::SOURCES[source];
            module::Loaded::new(ordinal, source, &self.architecture, self.shared)
        })
    }

    fn trim(&self) -> GpuResult<()> {
        self.check("run the queued work", self.side.synchronize())?;
        self.check("run the queued work", self.stream.synchronize())?;
        // SAFETY: the device is this context's; the pool is its default one.
        let trimmed = unsafe {
            result::device::get(self.context.ordinal() as i32)
                .and_then(|device| result::device::get_default_mem_pool(device))
                .and_then(|pool| result::mem_pool::trim_to(pool, 0))
        };
        self.check("give memory back", trimmed)
    }

    fn bytes_freed(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn check(&self, call: &str, outcome: Result<(), DriverError>) -> GpuResult<()> {
        outcome.map_err(|e| failure(self.context.ordinal(), call, e.0))
    }
}

/// Freed memory stays in the pool: by default each synchronisation gives it back to the system.
fn keep_freed_memory(ordinal: usize) -> Result<(), DriverError> {
    let mut all = u64::MAX;
    // SAFETY: the driver is initialised; the attribute is a 64-bit number.
    unsafe {
        let device = result::device::get(ordinal as i32)?;
        let pool = result::device::get_default_mem_pool(device)?;
        sys::cuMemPoolSetAttribute(
            pool,
            sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            (&raw mut all).cast(),
        )
        .result()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_owner_waits_for_the_threads_that_compile() {
        let done = Arc::new(AtomicBool::new(false));
        let preparing = Arc::new(Preparing::default());
        let copy = Arc::clone(&preparing);
        let thread = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                std::thread::sleep(Duration::from_millis(100));
                done.store(true, Ordering::Relaxed);
            }
        });
        preparing.0.lock().expect("free").push(thread);
        drop(preparing);
        assert!(!done.load(Ordering::Relaxed), "a copy is left");
        drop(copy);
        assert!(done.load(Ordering::Relaxed));
    }
}
