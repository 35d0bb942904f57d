//! Resolves `--device`: which of the machine's devices a command computes on.

use verdict_model::{BaseQuantization, ComputeDtype, Device, GpuProbe};
use verdict_train::{DeviceChoice, TrainSettings};

use crate::failure::{Failure, Result};
use crate::printer::Printer;

/// The lowest compute capability that runs the kernels, which use bf16 matrix instructions.
const LEAST: (i32, i32) = (8, 0);

/// The compute capability that multiplies 8-bit floats with one scale per row (Hopper).
const FP8: (i32, i32) = (9, 0);

const DOCTOR: &str = "`verdict doctor` shows what was searched for, and where";

/// A device to compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedDevice {
    /// The device.
    pub device: Device,
    /// The name that its maker gives it; none for the processor.
    pub name: Option<String>,
    /// The version of its driver.
    pub driver: Option<String>,
}

/// The devices that these settings select on this machine, at least one. With `auto`, a note says why a machine with a
/// GPU driver computes on the processor.
///
/// # Errors
/// A requested GPU that cannot be used; `fp8` or `nf4` without a device that supports it.
pub fn choose(settings: &TrainSettings, printer: &Printer) -> Result<Vec<SelectedDevice>> {
    let devices = match settings.device {
        DeviceChoice::Cpu => vec![SelectedDevice::cpu()],
        _ => {
            let (devices, note) = among(settings, &verdict_model::gpus(), hidden())?;
            if let Some(note) = note {
                printer.note(note);
            }
            devices
        }
    };
    for device in &devices {
        let (device, name) = (device.label(), device.name.as_deref());
        tracing::info!(device, name, "device chosen");
    }
    Ok(devices)
}

/// The device that `--device auto` selects here.
pub fn auto(probe: &GpuProbe) -> SelectedDevice {
    // The defaults compute on every machine, so this is always one device.
    let chosen = among(&TrainSettings::default(), probe, true);
    let device = chosen
        .ok()
        .and_then(|(devices, _)| devices.into_iter().next());
    device.unwrap_or_else(SelectedDevice::cpu)
}

/// Whether the user hid the GPUs from CUDA programs.
fn hidden() -> bool {
    std::env::var("CUDA_VISIBLE_DEVICES")
        .is_ok_and(|seen| matches!(seen.trim(), "" | "-1" | "NoDevFiles"))
}

/// [`choose`] for the devices that were found; the devices and the note.
fn among(
    settings: &TrainSettings,
    probe: &GpuProbe,
    hidden: bool,
) -> Result<(Vec<SelectedDevice>, Option<String>)> {
    let (choice, base) = (&settings.device, settings.base);
    let f32 = base == BaseQuantization::F32 || settings.compute == Some(ComputeDtype::F32);
    let why = || match probe.missing.as_slice() {
        [] if probe.usable() => "GPUs compute in bf16 only".to_owned(),
        [] => "the driver has no GPU".to_owned(),
        missing => missing.join("; "),
    };
    let numbers = match choice {
        DeviceChoice::Auto if probe.usable() && !f32 => {
            let fits = |capability| match base {
                BaseQuantization::Fp8 => capability == FP8,
                _ => capability >= LEAST,
            };
            let mut gpus = probe.devices.iter();
            let fit = gpus.find(|gpu| fits(gpu.compute_capability));
            vec![fit.unwrap_or(&probe.devices[0]).ordinal]
        }
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            if matches!(base, BaseQuantization::Fp8 | BaseQuantization::Nf4) {
                let fault = format!(
                    "--base: {base} needs a GPU, found none that can be used: {}",
                    why()
                );
                return Err(Failure::input(fault).hint("int8, bf16 and f32 run on every device"));
            }
            let expected_a_gpu = probe.driver.is_some() && !hidden && *choice == DeviceChoice::Auto;
            let note = expected_a_gpu.then(|| format!("computing on the processor: {}", why()));
            return Ok((vec![SelectedDevice::cpu()], note));
        }
        DeviceChoice::Cuda(numbers) => numbers.clone(),
    };
    if !probe.usable() {
        let fault = format!("--device: {choice} cannot be used: {}", why());
        return Err(Failure::input(fault).hint(DOCTOR));
    }
    let mut faults = Vec::new();
    let mut devices = Vec::new();
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
        if base == BaseQuantization::Fp8 && (major, minor) != FP8 {
            faults.push(format!(
                "--base: fp8 needs a GPU of compute capability {}.{}, found {major}.{minor} ({}, cuda:{number})",
                FP8.0, FP8.1, gpu.name
            ));
        }
        devices.push(SelectedDevice {
            device: Device::Cuda(number),
            name: Some(gpu.name.clone()),
            driver: probe.driver_version.clone(),
        });
    }
    match faults.is_empty() {
        true => Ok((devices, None)),
        false => Err(Failure::faults(faults)),
    }
}

impl SelectedDevice {
    fn cpu() -> Self {
        Self {
            device: Device::Cpu,
            name: None,
            driver: None,
        }
    }

    /// As `--device` has it.
    pub fn label(&self) -> String {
        match self.device {
            Device::Cpu => "cpu".to_owned(),
            Device::Cuda(number) => format!("cuda:{number}"),
        }
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
            free_bytes: None,
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

    fn settings(choice: &str, base: BaseQuantization) -> TrainSettings {
        TrainSettings {
            device: choice.parse().expect("a choice"),
            base,
            ..TrainSettings::default()
        }
    }

    fn labels(
        choice: &str,
        base: BaseQuantization,
        probe: &GpuProbe,
    ) -> (Vec<String>, Option<String>) {
        let (devices, note) = among(&settings(choice, base), probe, false).expect("usable");
        (devices.iter().map(SelectedDevice::label).collect(), note)
    }

    fn refused(choice: &str, base: BaseQuantization, probe: &GpuProbe) -> Failure {
        among(&settings(choice, base), probe, false).expect_err("must be refused")
    }

    #[test]
    fn auto_takes_the_first_gpu_that_can_be_used() {
        let two = probe(vec![gpu(0, "H100", (9, 0)), gpu(1, "H100", (9, 0))]);
        assert_eq!(
            labels("auto", BaseQuantization::Int8, &two),
            (vec!["cuda:0".into()], None)
        );
        let with_an_old_one = probe(vec![gpu(0, "V100", (7, 0)), gpu(1, "A100", (8, 0))]);
        assert_eq!(
            labels("auto", BaseQuantization::Int8, &with_an_old_one).0,
            ["cuda:1"]
        );
        assert_eq!(
            labels("cuda:1,0", BaseQuantization::Fp8, &two),
            (vec!["cuda:1".into(), "cuda:0".into()], None)
        );
        assert_eq!(
            labels("cpu", BaseQuantization::Int8, &two),
            (vec!["cpu".into()], None)
        );
    }

    #[test]
    fn auto_says_why_a_machine_with_a_driver_computes_on_the_processor() {
        let why = "computing on the processor: NVRTC: no libnvrtc.so in a, b";
        assert_eq!(
            labels("auto", BaseQuantization::Int8, &broken()),
            (vec!["cpu".into()], Some(why.into()))
        );
        let none = "computing on the processor: the driver has no GPU";
        assert_eq!(
            labels("auto", BaseQuantization::Int8, &probe(Vec::new())),
            (vec!["cpu".into()], Some(none.into()))
        );
        let (_, note) = among(&TrainSettings::default(), &broken(), true).expect("usable");
        assert_eq!(note, None, "the user hid the GPUs");
        let without = GpuProbe {
            driver: None,
            missing: vec!["no driver".into()],
            ..probe(Vec::new())
        };
        assert_eq!(
            labels("auto", BaseQuantization::Int8, &without),
            (vec!["cpu".into()], None),
            "no driver: nothing to say"
        );
    }

    #[test]
    fn auto_computes_f32_on_the_processor() {
        let one = probe(vec![gpu(0, "H100", (9, 0))]);
        let note = Some("computing on the processor: GPUs compute in bf16 only".to_owned());
        let expected = (vec!["cpu".to_owned()], note);
        assert_eq!(labels("auto", BaseQuantization::F32, &one), expected);
        let products = TrainSettings {
            compute: Some(ComputeDtype::F32),
            ..TrainSettings::default()
        };
        let (devices, note) = among(&products, &one, false).expect("usable");
        assert_eq!((vec![devices[0].label()], note), expected);
    }

    #[test]
    fn a_gpu_that_was_asked_for_and_cannot_be_used_is_a_fault() {
        let failure = refused("cuda:0", BaseQuantization::Int8, &broken());
        assert_eq!(
            failure.faults,
            ["--device: cuda:0 cannot be used: NVRTC: no libnvrtc.so in a, b"]
        );
        assert_eq!(failure.hints, [DOCTOR]);
        assert_eq!(failure.status as u8, 2);

        let one = probe(vec![gpu(0, "H100", (9, 0))]);
        assert_eq!(
            refused("cuda:0,3,7", BaseQuantization::Int8, &one).faults,
            [
                "--device: expected one of cuda:0, found cuda:3",
                "--device: expected one of cuda:0, found cuda:7",
            ]
        );
    }

    #[test]
    fn fp8_and_nf4_need_a_gpu_that_has_them() {
        let both = probe(vec![gpu(0, "A100", (8, 0)), gpu(1, "H100", (9, 0))]);
        assert_eq!(labels("auto", BaseQuantization::Fp8, &both).0, ["cuda:1"]);
        assert_eq!(labels("auto", BaseQuantization::Int8, &both).0, ["cuda:0"]);
        let old = probe(vec![gpu(0, "A100", (8, 0))]);
        let fault = "--base: fp8 needs a GPU of compute capability 9.0, found 8.0 (A100, cuda:0)";
        assert_eq!(refused("auto", BaseQuantization::Fp8, &old).faults, [fault]);
        assert_eq!(
            refused("cuda:0,1", BaseQuantization::Fp8, &both).faults,
            [fault]
        );
        assert_eq!(
            refused("auto", BaseQuantization::Nf4, &broken()).faults,
            ["--base: nf4 needs a GPU, found none that can be used: NVRTC: no libnvrtc.so in a, b"]
        );
        assert_eq!(labels("auto", BaseQuantization::Nf4, &old).0, ["cuda:0"]);
        assert_eq!(
            refused("auto", BaseQuantization::Fp8, &broken()).faults,
            ["--base: fp8 needs a GPU, found none that can be used: NVRTC: no libnvrtc.so in a, b"]
        );
    }
}
