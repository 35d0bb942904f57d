//! What can go wrong on a GPU.

use cudarc::driver::sys::CUresult;
use verdict_common::bytes;

/// A GPU that cannot be used, or that failed while it was used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GpuError {
    /// Driver, library or device that is not there.
    #[error("no GPU can be used: {0}")]
    Missing(String),
    /// More memory than the GPU, or the budget, has left.
    #[error(
        "GPU {ordinal}: out of memory: {} more needed, {} of {} in use by this process{}",
        bytes(*.wanted as u64), bytes(*.held as u64), bytes(*.limit as u64),
        if *.budget { " (the limit is --memory-gib)" } else { "" }
    )]
    OutOfMemory {
        /// Which GPU.
        ordinal: usize,
        /// Bytes requested.
        wanted: usize,
        /// Bytes this process holds.
        held: usize,
        /// Bytes it may hold: the GPU's memory or the budget.
        limit: usize,
        /// Whether the limit is a budget that the user set.
        budget: bool,
    },
    /// The device fell off the bus, hung, or met an error that ends its context.
    #[error("GPU {ordinal} was lost ({code}): results since the last checkpoint are gone")]
    Lost {
        /// Which GPU.
        ordinal: usize,
        /// CUDA's name for it.
        code: String,
    },
    /// Any other refusal of the driver.
    #[error("GPU {ordinal}: {call}: {code}")]
    Driver {
        /// Which GPU.
        ordinal: usize,
        /// What the call was for.
        call: String,
        /// CUDA's name for the refusal.
        code: String,
    },
    /// A kernel that NVRTC refuses: a defect of Verdict.
    #[error("kernels `{file}` do not compile for {architecture}: {log}")]
    Compile {
        /// Source file.
        file: &'static str,
        /// Such as `sm_90`.
        architecture: String,
        /// The compiler's words.
        log: String,
    },
    /// A refusal of cuBLASLt.
    #[error("cuBLASLt: {what}: {code}")]
    Blas {
        /// The product.
        what: String,
        /// Its status.
        code: String,
    },
}

/// Result of an operation on a GPU.
pub type GpuResult<T> = Result<T, GpuError>;

/// The error of a driver call that failed with `code`.
pub(super) fn failure(ordinal: usize, call: &str, code: CUresult) -> GpuError {
    let name = format!("{code:?}");
    match is_lost(code) {
        true => GpuError::Lost {
            ordinal,
            code: format!("{call}: {name}"),
        },
        false => GpuError::Driver {
            ordinal,
            call: call.to_owned(),
            code: name,
        },
    }
}

/// Errors after which every call of the context fails.
fn is_lost(code: CUresult) -> bool {
    use CUresult as R;
    matches!(
        code,
        R::CUDA_ERROR_ILLEGAL_ADDRESS
            | R::CUDA_ERROR_LAUNCH_FAILED
            | R::CUDA_ERROR_LAUNCH_TIMEOUT
            | R::CUDA_ERROR_ECC_UNCORRECTABLE
            | R::CUDA_ERROR_HARDWARE_STACK_ERROR
            | R::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | R::CUDA_ERROR_MISALIGNED_ADDRESS
            | R::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | R::CUDA_ERROR_INVALID_PC
            | R::CUDA_ERROR_DEVICE_UNAVAILABLE
            | R::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | R::CUDA_ERROR_NVLINK_UNCORRECTABLE
            | R::CUDA_ERROR_EXTERNAL_DEVICE
            | R::CUDA_ERROR_ASSERT
            | R::CUDA_ERROR_UNKNOWN
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_memory_says_how_much_was_needed() {
        let error = GpuError::OutOfMemory {
            ordinal: 0,
            wanted: 3 << 30,
            held: 5 << 29,
            limit: 4 << 30,
            budget: true,
        };
        assert_eq!(
            error.to_string(),
            "GPU 0: out of memory: 3.00 GiB more needed, 2.50 GiB of 4.00 GiB in use by this process (the limit is --memory-gib)"
        );
    }
}
