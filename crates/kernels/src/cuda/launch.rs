//! Launching kernels by name.

use std::ffi::c_void;

use cudarc::driver::sys;

use super::error::GpuResult;
use super::memory::{Plain, View};
use super::{Gpu, Lane};

/// Kernels that may begin while the one before them ends: they wait themselves (`await_previous`) before
/// they touch memory. From compute capability 9.0 on. What is not here is launched when all before is done.
const OVERLAPPING: [&str; 20] = [
    "adamw",
    "advance",
    "attention_",
    "choose",
    "clip_factors",
    "cross_entropy",
    "dropout_scale",
    "embed_rows",
    "gather_logits",
    "lora_down",
    "lora_gradient",
    "lora_up",
    "norm_and_rotate",
    "rms_norm_",
    "rotate_into_cache",
    "round_to_bf16",
    "skinny_",
    "sum_of_squares",
    "swiglu_backward",
    "swiglu_forward",
];

/// A value that a kernel takes.
pub(crate) trait Arg {
    /// Where the value is; valid as long as `self` stays.
    fn pointer(&self) -> *mut c_void;
}

macro_rules! plain_args {
    ($($t:ty),*) => { $(
        impl Arg for $t {
            fn pointer(&self) -> *mut c_void {
                std::ptr::from_ref(self).cast_mut().cast()
            }
        }
    )* };
}
plain_args!(i32, u32, i64, u64, f32);

/// A view goes as its address, which is its first field.
impl<T: Plain> Arg for View<'_, T> {
    fn pointer(&self) -> *mut c_void {
        self.address_field()
    }
}

/// No memory goes as a null pointer.
impl<T: Plain> Arg for Option<View<'_, T>> {
    fn pointer(&self) -> *mut c_void {
        static NULL: u64 = 0;
        match self {
            Some(view) => view.address_field(),
            None => std::ptr::from_ref(&NULL).cast_mut().cast(),
        }
    }
}

impl Gpu {
    /// Queues a kernel.
    ///
    /// Types and sizes are the caller's to keep: each operation's `cuda.rs` checks lengths before.
    pub(crate) fn launch(
        &self,
        name: &str,
        grid: (usize, usize, usize),
        block: usize,
        shared: usize,
        args: &[&dyn Arg],
    ) -> GpuResult<()> {
        self.launch_on(Lane::Main, name, grid, block, shared, args)?;
        self.mark(|| name.to_owned())
    }

    /// Queues a kernel on a lane of its own.
    pub(crate) fn launch_on(
        &self,
        lane: Lane,
        name: &str,
        grid: (usize, usize, usize),
        block: usize,
        shared: usize,
        args: &[&dyn Arg],
    ) -> GpuResult<()> {
        if grid.0 == 0 || grid.1 == 0 || grid.2 == 0 {
            return Ok(());
        }
        let kernel = self.inner.kernel(name)?;
        let mut pointers = [std::ptr::null_mut(); 40];
        for (pointer, arg) in pointers.iter_mut().zip(args) {
            *pointer = arg.pointer();
        }
        let mut attribute = sys::CUlaunchAttribute {
            id: sys::CUlaunchAttributeID::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
            pad: [0; 4],
            value: sys::CUlaunchAttributeValue {
                programmaticStreamSerializationAllowed: 1,
            },
        };
        let overlaps = self.compute_capability().0 >= 9
            && OVERLAPPING.iter().any(|prefix| name.starts_with(prefix));
        let config = sys::CUlaunchConfig {
            gridDimX: grid.0 as u32,
            gridDimY: grid.1 as u32,
            gridDimZ: grid.2 as u32,
            blockDimX: block as u32,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: shared as u32,
            hStream: self.inner.lane(lane),
            attrs: &raw mut attribute,
            numAttrs: u32::from(overlaps),
        };
        // SAFETY: the arguments are those of the kernel, and their memory is alive on this stream.
        let done = unsafe {
            sys::cuLaunchKernelEx(
                &raw const config,
                kernel.function,
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
            .result()
        };
        self.inner.check(name, done)
    }
}
