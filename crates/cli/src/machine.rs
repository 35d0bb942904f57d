//! What the machine has: processor features, threads, memory.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Serialize;
use verdict_model::{Device, GpuProbe, Isa, Library};
use verdict_train::{Cuda, Gpu, Machine};
use verdict_watch::gpu::Gpus;

use crate::device::SelectedDevice;

/// Features of the processor that decide how fast matrix products run, by the names of the Linux kernel.
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
    /// The name that its maker gives it.
    pub name: String,
    /// `x86_64`, `aarch64`, …
    pub architecture: &'static str,
    /// Threads that this process can run at once.
    pub threads: usize,
    /// The features among `FEATURES` that it has.
    pub features: Vec<&'static str>,
}

impl Cpu {
    /// Queries the processor and the system.
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
    pub fn describe(&self) -> String {
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
        // The standard library cannot detect AMX yet; Linux lists the features that programs may use.
        other => std::fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|text| text.split_whitespace().any(|word| word == other)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    false
}

/// This machine and this program for a run's manifest; `devices` are those that it computes on.
pub fn record(devices: &[SelectedDevice]) -> Machine {
    let gpus = devices.iter().any(|device| device.device != Device::Cpu);
    let probe = gpus.then(verdict_model::gpus);
    record_with(devices, probe.as_ref())
}

/// [`record`] with the GPUs that were found, if GPUs compute.
fn record_with(devices: &[SelectedDevice], probe: Option<&GpuProbe>) -> Machine {
    let cpu = Cpu::detect();
    let gib = |bytes: u64| (bytes + (1 << 29)) >> 30;
    let gpu = |device: &SelectedDevice| {
        let Device::Cuda(number) = device.device else {
            return None;
        };
        let known = probe.iter().flat_map(|probe| &probe.devices);
        let gpu = known.into_iter().find(|gpu| gpu.ordinal == number)?;
        let (major, minor) = gpu.compute_capability;
        Some(Gpu {
            name: gpu.name.clone(),
            compute_capability: format!("{major}.{minor}"),
            memory_gib: gib(gpu.memory_bytes as u64),
        })
    };
    let version = |of: &Option<Library>| of.as_ref().and_then(|of| of.version.clone());
    Machine {
        tool: verdict_train::Manifest::tool(),
        commit: option_env!("VERDICT_COMMIT").map(str::to_owned),
        system: std::env::consts::OS.to_owned(),
        processor: cpu.name,
        architecture: cpu.architecture.to_owned(),
        features: cpu.features.into_iter().map(str::to_owned).collect(),
        kernels: Isa::detect().name().to_owned(),
        threads: cpu.threads,
        memory_gib: Memory::detect().map(|memory| gib(memory.total_bytes)),
        gpus: devices.iter().filter_map(gpu).collect(),
        cuda: probe.map(|probe| Cuda {
            driver: Gpus::open().driver(),
            version: probe.driver_version.clone(),
            cublaslt: version(&probe.cublaslt),
            nvrtc: version(&probe.nvrtc),
        }),
    }
}

/// The memory that this process can use.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// All of it, or the limit of the container.
    pub total_bytes: u64,
    /// What is free now.
    pub available_bytes: u64,
}

impl Memory {
    /// Queries the system; none if it does not report memory.
    pub fn detect() -> Option<Self> {
        let memory_only = sysinfo::RefreshKind::nothing()
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram());
        let system = sysinfo::System::new_with_specifics(memory_only).ok()?;
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

static STARTED: OnceLock<(Instant, Duration)> = OnceLock::new();

/// Records the start of `main`, and the age of the process by then (on Linux).
pub fn started() {
    STARTED.get_or_init(|| (Instant::now(), age().unwrap_or_default()));
}

/// Time since the process started, to a hundredth of a second. On Linux it includes the loading of the program and its
/// libraries.
pub fn since_start() -> Duration {
    started();
    let (at, age) = STARTED
        .get()
        .copied()
        .unwrap_or_else(|| (Instant::now(), Duration::ZERO));
    at.elapsed() + age
}

/// The age of this process: now minus its start, both counted from the start of the machine.
fn age() -> Option<Duration> {
    const TICKS_PER_S: f64 = 100.0; // USER_HZ, the same on every Linux
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, the second field, may contain blanks and parentheses; the start is the 22nd field.
    let fields = stat.rsplit_once(')')?.1;
    let start: f64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    let age = now - start / TICKS_PER_S;
    // `main` starts within moments; another result means that the system counts differently.
    (0.0..60.0)
        .contains(&age)
        .then(|| Duration::from_secs_f64(age))
}

/// The peak memory of this process (on Linux).
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
    fn a_process_grows_older() {
        let first = since_start();
        let process = age().expect("Linux reports it");
        assert!(process < Duration::from_secs(60), "{process:?}");
        std::thread::sleep(Duration::from_millis(30));
        let second = since_start();
        assert!(
            second >= first + Duration::from_millis(30),
            "{first:?} {second:?}"
        );
        assert!(age().expect("Linux reports it") >= process + Duration::from_millis(10));
    }

    #[test]
    fn the_gpus_that_compute_are_noted_in_their_order_with_what_drives_them() {
        let gpu = |ordinal, name: &str| verdict_model::GpuDevice {
            ordinal,
            name: name.into(),
            compute_capability: (9, 0),
            // As the driver has it: a little less than 80 GiB.
            memory_bytes: 85_017_493_504,
            free_bytes: None,
        };
        let library = |version: Option<&str>| {
            Some(Library {
                path: "lib".into(),
                version: version.map(str::to_owned),
            })
        };
        let probe = GpuProbe {
            driver: library(None),
            cublaslt: library(Some("13.1.0")),
            nvrtc: library(Some("13.0")),
            driver_version: Some("13.0".into()),
            devices: vec![gpu(0, "A"), gpu(1, "B"), gpu(2, "C")],
            missing: Vec::new(),
            cache: "cache".into(),
        };
        let device = |number| SelectedDevice {
            device: Device::Cuda(number),
            name: Some("by the driver".into()),
            driver: None,
        };
        let found = record_with(&[device(2), device(0)], Some(&probe));
        let noted: Vec<_> = found
            .gpus
            .iter()
            .map(|gpu| {
                (
                    gpu.name.as_str(),
                    gpu.compute_capability.as_str(),
                    gpu.memory_gib,
                )
            })
            .collect();
        assert_eq!(noted, [("C", "9.0", 79), ("A", "9.0", 79)]);
        let cuda = found.cuda.expect("GPUs compute");
        let versions = [&cuda.version, &cuda.cublaslt, &cuda.nvrtc].map(Option::as_deref);
        assert_eq!(versions, [Some("13.0"), Some("13.1.0"), Some("13.0")]);
        let plain = record_with(&[], None);
        assert!(plain.gpus.is_empty() && plain.cuda.is_none());
        assert_eq!(plain.memory_gib, found.memory_gib);
    }

    #[test]
    fn memory_adds_up() {
        let memory = Memory::detect().expect("Linux reports it");
        assert!(memory.available_bytes <= memory.total_bytes, "{memory:?}");
        let peak = peak_memory_bytes().expect("Linux reports it");
        assert!(
            peak > 1 << 20 && peak <= memory.total_bytes,
            "{peak} of {memory:?}"
        );
    }
}
