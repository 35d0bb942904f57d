//! The GPUs of this machine: load, memory, power and temperature, by NVML, NVIDIA's management library.
//!
//! It is opened at run time. Where there is none, there are no GPUs to tell of. They are this machine's, whoever uses
//! them and wherever the run is.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use serde::Serialize;

/// The library's name as drivers install it; the wrapper's own has no version and belongs to CUDA's toolkit.
const LIBRARY: &str = if cfg!(windows) {
    "nvml.dll"
} else {
    "libnvidia-ml.so.1"
};

/// NVML, where there is one.
#[derive(Debug, Default)]
pub struct Gpus {
    nvml: Option<Nvml>,
}

/// A GPU now. What the driver does not tell of it is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gpu {
    /// Its number.
    pub index: u32,
    /// Its maker's name for it.
    pub name: String,
    /// Per cent of the last moments in which something ran on it.
    pub load_percent: Option<u32>,
    /// Memory in use, whoever uses it.
    pub memory_used_bytes: Option<u64>,
    /// All its memory.
    pub memory_total_bytes: Option<u64>,
    /// What it draws.
    pub power_w: Option<f64>,
    /// What it may draw.
    pub power_limit_w: Option<f64>,
    /// How hot it is.
    pub temperature_c: Option<u32>,
}

impl Gpus {
    /// Opens NVML.
    pub fn open() -> Gpus {
        let opened = Nvml::builder().lib_path(LIBRARY.as_ref()).init();
        Gpus { nvml: opened.ok() }
    }

    /// Version of the driver, such as `580.95.05`, where there is NVML.
    pub fn driver(&self) -> Option<String> {
        self.nvml.as_ref()?.sys_driver_version().ok()
    }

    /// The GPUs as they are now; none where there is no NVML.
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
