//! The machine that computed a run, as recorded in its manifest: program, processor, GPUs. The caller
//! provides it.

use serde::{Deserialize, Serialize};

/// A machine and the program on it. Contains only what does not change from run to run: no load, no free
/// memory, no host names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The program and its version.
    pub tool: String,
    /// The commit that the program was built from, followed by `-dirty` if files differed from it; `None` if
    /// it was not built from a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// `linux`, `macos`, …
    pub system: String,
    /// The processor's name.
    pub processor: String,
    /// `x86_64`, `aarch64`, …
    pub architecture: String,
    /// Those of its features that determine how matrix products are computed.
    #[serde(default)]
    pub features: Vec<String>,
    /// The kernels that run on this processor.
    pub kernels: String,
    /// Threads available to the process. The number that a run used is in its settings.
    pub threads: usize,
    /// Memory available to the process, rounded to GiB (2^30 bytes), if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gib: Option<u64>,
    /// The GPUs that computed, in the order of the run's devices; empty on a CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<Gpu>,
    /// The software of the GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<Cuda>,
}

/// A GPU that computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Its product name.
    pub name: String,
    /// Compute capability, such as `9.0`.
    pub compute_capability: String,
    /// Its total memory, rounded to GiB (2^30 bytes).
    pub memory_gib: u64,
}

/// Versions of the GPU software, where known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuda {
    /// The driver, such as `580.95.05`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The CUDA version that the driver supports, such as `13.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of cuBLASLt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cublaslt: Option<String>,
    /// Version of NVRTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvrtc: Option<String>,
}

impl Machine {
    /// Describes what this machine computes with in one line: the GPUs and their software, else the
    /// processor.
    pub fn describe(&self) -> String {
        let Some(first) = self.gpus.first() else {
            return format!("{} ({} kernels)", self.processor, self.kernels);
        };
        let mut text = match self.gpus.len() {
            1 => first.name.clone(),
            count => format!("{count} × {}", first.name),
        };
        if let Some(cuda) = &self.cuda {
            let known = [
                ("driver", &cuda.driver),
                ("CUDA", &cuda.version),
                ("cuBLASLt", &cuda.cublaslt),
                ("NVRTC", &cuda.nvrtc),
            ];
            let known: Vec<String> = known
                .iter()
                .filter_map(|(what, version)| Some(format!("{what} {}", version.as_ref()?)))
                .collect();
            if !known.is_empty() {
                text = format!("{text} ({})", known.join(", "));
            }
        }
        text
    }

    /// The program with its commit.
    pub fn program(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{} ({commit})", self.tool),
            None => self.tool.clone(),
        }
    }

    /// Whether the other machine computes with the same hardware and libraries, so that the same program
    /// writes the same bytes there. Threads and memory change no result, nor does the processor when GPUs
    /// compute.
    pub fn computes_as(&self, other: &Self) -> bool {
        let processor = |of: &Self| {
            let known = (of.processor.clone(), of.features.clone());
            let known = (known, of.kernels.clone());
            of.gpus.is_empty().then_some(known)
        };
        (&self.system, &self.architecture) == (&other.system, &other.architecture)
            && processor(self) == processor(other)
            && (&self.gpus, &self.cuda) == (&other.gpus, &other.cuda)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor() -> Machine {
        Machine {
            tool: "verdict 0.1.0".into(),
            processor: "Xeon".into(),
            kernels: "amx".into(),
            threads: 8,
            ..Machine::default()
        }
    }

    fn gpus(count: usize) -> Machine {
        let gpu = Gpu {
            name: "H100".into(),
            compute_capability: "9.0".into(),
            memory_gib: 80,
        };
        Machine {
            gpus: vec![gpu; count],
            cuda: Some(Cuda {
                version: Some("13.0".into()),
                ..Cuda::default()
            }),
            ..processor()
        }
    }

    #[test]
    fn threads_memory_and_a_processor_beside_gpus_change_no_result() {
        let mut other = processor();
        (other.threads, other.memory_gib) = (2, Some(4));
        assert!(processor().computes_as(&other));
        other.processor = "Epyc".into();
        assert!(!processor().computes_as(&other));
        let other = Machine {
            processor: "Epyc".into(),
            ..gpus(1)
        };
        assert!(gpus(1).computes_as(&other));
        assert!(!gpus(1).computes_as(&gpus(2)) && !gpus(1).computes_as(&processor()));
    }

    #[test]
    fn it_is_described_in_a_line() {
        assert_eq!(processor().describe(), "Xeon (amx kernels)");
        assert_eq!(gpus(2).describe(), "2 × H100 (CUDA 13.0)");
    }
}
