//! `--device` against what the machine has: on which devices a command computes.

use verdict_formats::ModelConfig;
use verdict_model::{Device, GpuProbe};
use verdict_train::engine::PASS_TOKENS;
use verdict_train::{Base, DeviceChoice};

use crate::failure::{Failure, Result};
use crate::printer::Printer;

/// Compute capability from which on a GPU runs the kernels at all (bf16 matrix instructions).
const LEAST: (i32, i32) = (8, 0);

/// From this compute capability on a GPU multiplies 8-bit floats.
const FP8: (i32, i32) = (8, 9);

/// More tokens than this fill no GPU better.
const GPU_PASS_TOKENS: usize = 16_384;

const DOCTOR: &str = "`verdict doctor` says what was looked for, and where";

/// A device that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The device.
    pub device: Device,
    /// Its maker's name for it; none for the processor.
    pub name: Option<String>,
    /// Version of its driver.
    pub driver: Option<String>,
    /// Memory that is free on it; none for the processor.
    pub free_bytes: Option<u64>,
}

/// The devices that `choice` means here, at least one. With `auto` a note says why a machine that has
/// a driver computes on the processor.
///
/// # Errors
/// A GPU that was asked for and cannot be used; `fp8` where no device computes with it.
pub fn choose(choice: &DeviceChoice, base: Base, printer: &Printer) -> Result<Vec<Place>> {
    if *choice == DeviceChoice::Cpu {
        return Ok(vec![Place::cpu()]);
    }
    let (places, note) = among(choice, base, &verdict_model::gpus(), hidden())?;
    if let Some(note) = note {
        printer.note(note);
    }
    Ok(places)
}

/// What `--device auto` means with these findings.
pub fn auto(probe: &GpuProbe) -> Place {
    // int8 computes everywhere, so this is always one place.
    let chosen = among(&DeviceChoice::Auto, Base::Int8, probe, true);
    let place = chosen
        .ok()
        .and_then(|(places, _)| places.into_iter().next());
    place.unwrap_or_else(Place::cpu)
}

/// Whether the user hid the GPUs from CUDA's programs.
fn hidden() -> bool {
    std::env::var("CUDA_VISIBLE_DEVICES")
        .is_ok_and(|seen| matches!(seen.trim(), "" | "-1" | "NoDevFiles"))
}

/// [`choose`] among what was found, and the note.
fn among(
    choice: &DeviceChoice,
    base: Base,
    probe: &GpuProbe,
    hidden: bool,
) -> Result<(Vec<Place>, Option<String>)> {
    let why = || match probe.missing.as_slice() {
        [] => "the driver has no GPU".to_owned(),
        missing => missing.join("; "),
    };
    let numbers = match choice {
        DeviceChoice::Auto if probe.usable() => {
            let least = if base == Base::Fp8 { FP8 } else { LEAST };
            let mut gpus = probe.devices.iter();
            let fit = gpus.find(|gpu| gpu.compute_capability >= least);
            vec![fit.unwrap_or(&probe.devices[0]).ordinal]
        }
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            if base == Base::Fp8 {
                let fault = format!(
                    "--base: fp8 needs a GPU, found none that can be used: {}",
                    why()
                );
                return Err(Failure::input(fault).hint("int8, bf16 and f32 run everywhere"));
            }
            let told = probe.driver.is_some() && !hidden && *choice == DeviceChoice::Auto;
            let note = told.then(|| format!("computing on the processor: {}", why()));
            return Ok((vec![Place::cpu()], note));
        }
        DeviceChoice::Cuda(numbers) => numbers.clone(),
    };
    if !probe.usable() {
        let fault = format!("--device: {choice} cannot be used: {}", why());
        return Err(Failure::input(fault).hint(DOCTOR));
    }
    let mut faults = Vec::new();
    let mut places = Vec::new();
    for number in numbers {
        let Some(gpu) = probe.devices.iter().find(|gpu| gpu.ordinal == number) else {
            let known: Vec<String> = probe
                .devices
                .iter()
                .map(|gpu| format!("cuda:{}", gpu.ordinal))
                .collect();
            faults.push(format!(
                "--device: expected one of {}, found cuda:{number}",
                known.join(", ")
            ));
            continue;
        };
        let (major, minor) = gpu.compute_capability;
        if base == Base::Fp8 && (major, minor) < FP8 {
            faults.push(format!(
                "--base: fp8 needs a GPU of compute capability {}.{} or higher, found {major}.{minor} ({}, cuda:{number})",
                FP8.0, FP8.1, gpu.name
            ));
        }
        places.push(Place {
            device: Device::Cuda(number),
            name: Some(gpu.name.clone()),
            driver: probe.driver_version.clone(),
            free_bytes: Some(gpu.free_bytes as u64),
        });
    }
    match faults.is_empty() {
        true => Ok((places, None)),
        false => Err(Failure::faults(faults)),
    }
}

impl Place {
    fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            name: None,
            driver: None,
            free_bytes: None,
        }
    }

    /// As `--device` has it.
    pub fn label(&self) -> String {
        match self.device {
            Device::Cpu => "cpu".to_owned(),
            Device::Cuda(number) => format!("cuda:{number}"),
        }
    }

    /// Tokens that suit one pass: on a GPU as many as half of its memory holds, in bounds.
    pub fn pass_tokens(&self, config: &ModelConfig, memory_bytes: Option<u64>) -> usize {
        let Some(free) = self.free_bytes else {
            return PASS_TOKENS;
        };
        let bytes = free.min(memory_bytes.unwrap_or(u64::MAX));
        // What a pass keeps of a token for backward, in each block: the residual twice, its norm, q, k
        // and v, attention's output, and the feed-forward layer; four bytes a number are on the safe side.
        let (heads, kv) = (config.num_attention_heads, config.num_key_value_heads);
        let block = 3 * config.hidden_size
            + (2 * heads + 2 * kv) * config.head_dim
            + 2 * config.intermediate_size;
        let token = 4 * config.num_hidden_layers * block;
        let tokens = usize::try_from(bytes / 2 / token as u64).unwrap_or(GPU_PASS_TOKENS);
        (tokens / 256 * 256).clamp(PASS_TOKENS, GPU_PASS_TOKENS)
    }
}

#[cfg(test)]
mod tests {
    use verdict_model::{GpuDevice, Library};

    use super::*;

    fn gpu(ordinal: usize, name: &str, compute_capability: (i32, i32)) -> GpuDevice {
        GpuDevice {
            ordinal,
            name: name.into(),
            compute_capability,
            memory_bytes: 80 << 30,
            free_bytes: 79 << 30,
        }
    }

    fn library() -> Option<Library> {
        Some(Library {
            path: "lib".into(),
            version: None,
        })
    }

    fn probe(devices: Vec<GpuDevice>) -> GpuProbe {
        GpuProbe {
            driver: library(),
            cublaslt: library(),
            nvrtc: library(),
            driver_version: Some("13.0".into()),
            devices,
            missing: Vec::new(),
            cache: "cache".into(),
        }
    }

    fn broken() -> GpuProbe {
        GpuProbe {
            nvrtc: None,
            missing: vec!["NVRTC: no libnvrtc.so in a, b".into()],
            ..probe(vec![gpu(0, "H100", (9, 0))])
        }
    }

    fn labels(choice: &str, base: Base, probe: &GpuProbe) -> (Vec<String>, Option<String>) {
        let choice = choice.parse().expect("a choice");
        let (places, note) = among(&choice, base, probe, false).expect("usable");
        (places.iter().map(Place::label).collect(), note)
    }

    fn refused(choice: &str, base: Base, probe: &GpuProbe) -> Failure {
        let choice = choice.parse().expect("a choice");
        among(&choice, base, probe, false).expect_err("must be refused")
    }

    #[test]
    fn auto_takes_the_first_gpu_that_can_be_used() {
        let two = probe(vec![gpu(0, "H100", (9, 0)), gpu(1, "H100", (9, 0))]);
        assert_eq!(
            labels("auto", Base::Int8, &two),
            (vec!["cuda:0".into()], None)
        );
        let with_an_old_one = probe(vec![gpu(0, "V100", (7, 0)), gpu(1, "A100", (8, 0))]);
        assert_eq!(labels("auto", Base::Int8, &with_an_old_one).0, ["cuda:1"]);
        assert_eq!(
            labels("cuda:1,0", Base::Fp8, &two),
            (vec!["cuda:1".into(), "cuda:0".into()], None)
        );
        assert_eq!(labels("cpu", Base::Int8, &two), (vec!["cpu".into()], None));
    }

    #[test]
    fn auto_says_why_a_machine_with_a_driver_computes_on_the_processor() {
        let why = "computing on the processor: NVRTC: no libnvrtc.so in a, b";
        assert_eq!(
            labels("auto", Base::Int8, &broken()),
            (vec!["cpu".into()], Some(why.into()))
        );
        let none = "computing on the processor: the driver has no GPU";
        assert_eq!(
            labels("auto", Base::Int8, &probe(Vec::new())),
            (vec!["cpu".into()], Some(none.into()))
        );
        let (_, note) = among(&DeviceChoice::Auto, Base::Int8, &broken(), true).expect("usable");
        assert_eq!(note, None, "whoever hides the GPUs knows it");
        let without = GpuProbe {
            driver: None,
            missing: vec!["no driver".into()],
            ..probe(Vec::new())
        };
        assert_eq!(
            labels("auto", Base::Int8, &without),
            (vec!["cpu".into()], None),
            "no driver: nothing to say"
        );
    }

    #[test]
    fn a_gpu_that_was_asked_for_and_cannot_be_used_is_a_fault() {
        let failure = refused("cuda:0", Base::Int8, &broken());
        assert_eq!(
            failure.faults,
            ["--device: cuda:0 cannot be used: NVRTC: no libnvrtc.so in a, b"]
        );
        assert_eq!(failure.hints, [DOCTOR]);
        assert_eq!(failure.status as u8, 2);

        let one = probe(vec![gpu(0, "H100", (9, 0))]);
        assert_eq!(
            refused("cuda:0,3,7", Base::Int8, &one).faults,
            [
                "--device: expected one of cuda:0, found cuda:3",
                "--device: expected one of cuda:0, found cuda:7",
            ]
        );
    }

    #[test]
    fn fp8_needs_a_gpu_that_has_it() {
        let both = probe(vec![gpu(0, "A100", (8, 0)), gpu(1, "L4", (8, 9))]);
        assert_eq!(labels("auto", Base::Fp8, &both).0, ["cuda:1"]);
        assert_eq!(labels("auto", Base::Int8, &both).0, ["cuda:0"]);
        let old = probe(vec![gpu(0, "A100", (8, 0))]);
        let fault =
            "--base: fp8 needs a GPU of compute capability 8.9 or higher, found 8.0 (A100, cuda:0)";
        assert_eq!(refused("auto", Base::Fp8, &old).faults, [fault]);
        assert_eq!(refused("cuda:0,1", Base::Fp8, &both).faults, [fault]);
        assert_eq!(
            refused("auto", Base::Fp8, &broken()).faults,
            ["--base: fp8 needs a GPU, found none that can be used: NVRTC: no libnvrtc.so in a, b"]
        );
    }

    #[test]
    fn a_pass_is_as_long_as_half_the_memory_holds() {
        let config = ModelConfig {
            architecture: verdict_formats::Architecture::Qwen3,
            hidden_size: 2048,
            intermediate_size: 6144,
            num_hidden_layers: 28,
            num_attention_heads: 16,
            num_key_value_heads: 8,
            head_dim: 128,
            vocab_size: 151_936,
            max_position_embeddings: 40_960,
            rms_norm_eps: 1e-6,
            rope_theta: 1e6,
            tie_word_embeddings: true,
            qkv_bias: false,
            qk_norm: true,
            bos_token_id: None,
            eos_token_ids: vec![151_645],
        };
        let place = |free_bytes| Place {
            device: Device::Cuda(0),
            free_bytes,
            ..Place::cpu()
        };
        // 2.75 MB a token.
        let gib = |n: u64| n << 30;
        assert_eq!(place(Some(gib(79))).pass_tokens(&config, None), 15_360);
        assert_eq!(
            place(Some(gib(79))).pass_tokens(&config, Some(gib(16))),
            3_072
        );
        assert_eq!(
            place(Some(gib(140))).pass_tokens(&config, None),
            GPU_PASS_TOKENS
        );
        assert_eq!(place(Some(gib(1))).pass_tokens(&config, None), PASS_TOKENS);
        assert_eq!(
            Place::cpu().pass_tokens(&config, Some(gib(79))),
            PASS_TOKENS
        );
    }
}
