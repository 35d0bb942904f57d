//! The GPUs of this machine: load, memory, power and temperature, by NVML, NVIDIA's management library.
//!
//! It is opened at run time. Without it, no GPUs are shown. They are those of this machine, whichever process uses them
//! and wherever the run is.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use serde::Serialize;

/// The name under which drivers install the library. The wrapper's default has no version and is part of the CUDA toolkit.
const LIBRARY: &str = if cfg!(windows) {
    "nvml.dll"
} else {
    "libnvidia-ml.so.1"
};

/// NVML, if available.
#[derive(Debug, Default)]
pub struct Gpus {
    nvml: Option<Nvml>,
}

/// The state of a GPU. What the driver does not report is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gpu {
    /// Its index.
    pub index: u32,
    /// Its product name.
    pub name: String,
    /// Share of recent time in which a kernel was running, in percent.
    pub load_percent: Option<u32>,
    /// Memory in use by all processes.
    pub memory_used_bytes: Option<u64>,
    /// Total memory.
    pub memory_total_bytes: Option<u64>,
    /// Power draw.
    pub power_w: Option<f64>,
    /// Power limit.
    pub power_limit_w: Option<f64>,
    /// Temperature.
    pub temperature_c: Option<u32>,
}

impl Gpus {
    /// Opens NVML.
    pub fn open() -> Gpus {
        let opened = Nvml::builder().lib_path(LIBRARY.as_ref()).init();
        Gpus { nvml: opened.ok() }
    }

    /// Version of the driver, such as `580.95.05`, if NVML is available.
    pub fn driver(&self) -> Option<String> {
        self.nvml.as_ref()?.sys_driver_version().ok()
    }

    /// The current state of the GPUs; empty without NVML.
    pub fn read(&self) -> Vec<Gpu> {
        let Some(nvml) = &self.nvml else {
            return Vec::new();
        };
        let read = |index| {
            let device = nvml.device_by_index(index).ok()?;
            let memory = device.memory_info().ok();
            let watts = |milliwatts: u32| f64::from(milliwatts) / 1000.0;
            Some(Gpu {
                index,
                name: device.name().unwrap_or_else(|_| "GPU".into()),
                load_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
                memory_used_bytes: memory.as_ref().map(|memory| memory.used),
                memory_total_bytes: memory.as_ref().map(|memory| memory.total),
                power_w: device.power_usage().ok().map(watts),
                power_limit_w: device.enforced_power_limit().ok().map(watts),
                temperature_c: device.temperature(TemperatureSensor::Gpu).ok(),
            })
        };
        let count = nvml.device_count().unwrap_or(0);
        (0..count).filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Gpus;

    #[test]
    fn without_nvml_there_are_no_gpus() {
        assert_eq!(Gpus::default().read(), []);
    }
}
