//! A source's compiled module, loaded, and its kernels by name.

use std::collections::HashMap;
use std::ffi::CStr;

use cudarc::driver::{DriverError, result, sys};

use super::compile;
use super::error::{GpuResult, failure};

/// A loaded kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    pub(super) function: sys::CUfunction,
}

/// A source's module and its kernels.
pub(super) struct Loaded {
    module: sys::CUmodule,
    by_name: HashMap<String, Kernel>,
}

// SAFETY: handles of CUDA may be used from any thread.
unsafe impl Send for Loaded {}
// SAFETY: as above; nothing is changed after loading.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// Compiles (or reads) a source and loads it. Every kernel is allowed all the shared memory that a
    /// block may have.
    pub(super) fn new(
        ordinal: usize,
        source: compile::Source,
        architecture: &str,
        shared: i32,
    ) -> GpuResult<Self> {
        let code = compile::machine_code(source, architecture, &compile::cache_folder())?;
        let failed = |e: DriverError| {
            failure(
                ordinal,
                &format!("load the kernels of `{}`", source.file),
                e.0,
            )
        };
        // SAFETY: `code` is a whole ELF image that NVRTC made for this architecture.
        let module = unsafe { result::module::load_data(code.as_ptr().cast()) }.map_err(failed)?;
        let by_name = find(module, shared).map_err(failed)?.into_iter().collect();
        Ok(Self { module, by_name })
    }

    pub(super) fn get(&self, name: &str) -> Option<Kernel> {
        self.by_name.get(name).copied()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: loaded once, unloaded once; the context's owner has waited for its kernels.
        unsafe {
            let _ = result::module::unload(self.module);
        }
    }
}

fn find(module: sys::CUmodule, shared: i32) -> Result<Vec<(String, Kernel)>, DriverError> {
    use sys::CUfunction_attribute as A;
    let mut count = 0;
    // SAFETY: the module is loaded; the driver fills `count` handles and gives names that live as long.
    unsafe {
        sys::cuModuleGetFunctionCount(&raw mut count, module).result()?;
        let mut functions = vec![std::ptr::null_mut(); count as usize];
        sys::cuModuleEnumerateFunctions(functions.as_mut_ptr(), count, module).result()?;
        let named = functions.into_iter().map(|function| {
            let mut name = std::ptr::null();
            sys::cuFuncGetName(&raw mut name, function).result()?;
            let held = result::function::get_function_attribute(
                function,
                A::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
            )?;
            result::function::set_function_attribute(
                function,
                A::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                shared - held,
            )?;
            Ok((
                CStr::from_ptr(name).to_string_lossy().into_owned(),
                Kernel { function },
            ))
        });
        named.collect()
    }
}
