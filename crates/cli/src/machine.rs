//! What the machine offers: processor features, threads, memory.

use serde::Serialize;

/// Features of the processor that decide how fast the products run, in the kernel's own names.
const FEATURES: [&str; 6] = [
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "amx_bf16",
    "amx_int8",
];

/// The processor.
#[derive(Debug, Serialize)]
pub struct Cpu {
    /// Its maker's name for it.
    pub name: String,
    /// `x86_64`, `aarch64`, …
    pub architecture: &'static str,
    /// Threads that this process may run at once.
    pub threads: usize,
    /// Of the features that matter here, those it has.
    pub features: Vec<&'static str>,
}

impl Cpu {
    /// Asks the processor and the system.
    pub fn detect() -> Self {
        let system = sysinfo::System::new_with_specifics(
            sysinfo::RefreshKind::nothing().with_cpu(sysinfo::CpuRefreshKind::nothing()),
        );
        let name = system
            .ok()
            .and_then(|system| Some(system.cpus().first()?.brand().trim().to_owned()));
        Self {
            name: name.unwrap_or_else(|| "unknown".into()),
            architecture: std::env::consts::ARCH,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            features: FEATURES
                .into_iter()
                .filter(|feature| has(feature))
                .collect(),
        }
    }

    /// Each feature with yes or no.
    pub fn words(&self) -> String {
        if self.architecture != "x86_64" {
            return format!(
                "{} (portable code, or NEON where it is faster)",
                self.architecture
            );
        }
        let word = |feature| {
            format!(
                "{feature} {}",
                if self.features.contains(feature) {
                    "yes"
                } else {
                    "no"
                }
            )
        };
        FEATURES.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    match feature {
        "avx2" => std::arch::is_x86_feature_detected!("avx2"),
        "avx512f" => std::arch::is_x86_feature_detected!("avx512f"),
        "avx512_bf16" => std::arch::is_x86_feature_detected!("avx512bf16"),
        "avx512_vnni" => std::arch::is_x86_feature_detected!("avx512vnni"),
        // The standard library cannot ask for AMX yet; Linux lists what it lets programs use.
        other => std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.split_whitespace().any(|word| word == other)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    false
}

/// The memory, as far as this process may use it.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// All of it (a container's limit where there is one).
    pub total_bytes: u64,
    /// What is free now.
    pub available_bytes: u64,
}

impl Memory {
    /// Asks the system; none where it does not tell.
    pub fn detect() -> Option<Self> {
        let asked = sysinfo::RefreshKind::nothing()
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
        let system = sysinfo::System::new_with_specifics(asked).ok()?;
        Some(match system.cgroup_limits() {
            Some(limits) if limits.total_memory < system.total_memory() => Self {
                total_bytes: limits.total_memory,
                available_bytes: limits.free_memory,
            },
            _ => Self {
                total_bytes: system.total_memory(),
                available_bytes: system.available_memory(),
            },
        })
    }
}

/// The most memory this process has held, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_adds_up() {
        let memory = Memory::detect().expect("Linux tells");
        assert!(memory.available_bytes <= memory.total_bytes, "{memory:?}");
        let peak = peak_memory_bytes().expect("Linux tells");
        assert!(
            peak > 1 << 20 && peak <= memory.total_bytes,
            "{peak} of {memory:?}"
        );
    }
}
