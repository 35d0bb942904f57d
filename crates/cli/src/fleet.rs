//! The model loaded on each selected device, and the engine that trains on all of them.

use std::thread;

use verdict_model::{AdapterSpec, Model};
use verdict_train::{ModelTrainingEngine, MultiDeviceEngine, TrainSettings, TrainingEngine};

use crate::device::SelectedDevice;
use crate::failure::Result;
use crate::loading::{self, Source};
use crate::printer::Printer;

/// The same model on one device or several.
pub struct LoadedModels {
    /// One per device.
    pub models: Vec<Model>,
    /// The devices.
    pub devices: Vec<SelectedDevice>,
}

impl LoadedModels {
    /// Loads the model on all devices in parallel, and on no more devices than there are adapters.
    pub fn load(
        source: &Source,
        settings: &TrainSettings,
        mut devices: Vec<SelectedDevice>,
        adapters: usize,
        printer: &Printer,
    ) -> Result<Self> {
        if devices.len() > adapters {
            let last: Vec<String> = devices[adapters.max(1)..]
                .iter()
                .map(SelectedDevice::label)
                .collect();
            printer.note(format!(
                "more devices than adapters: {} will not be used",
                last.join(", ")
            ));
            devices.truncate(adapters.max(1));
        }
        for device in &devices {
            if let (Some(name), false) = (&device.name, printer.logs()) {
                printer.note(format!("computing on {} ({name})", device.label()));
            }
        }
        let models: Result<Vec<Model>> = thread::scope(|scope| {
            let started: Vec<_> = devices
                .iter()
                .map(|device| scope.spawn(move || source.load(loading::options(settings, device))))
                .collect();
            let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|loaded| loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        Ok(Self {
            models: models?,
            devices,
        })
    }

    /// An engine for these adapters, in the order in which they will be created.
    pub fn engine<'m>(
        &'m self,
        base_name: &str,
        specs: &[AdapterSpec],
    ) -> Box<dyn TrainingEngine + 'm> {
        let engine = |model: &'m Model| ModelTrainingEngine::new(model).base_name(base_name);
        let mut engines: Vec<_> = self.models.iter().map(engine).collect();
        match engines.pop() {
            Some(engine) if engines.is_empty() => Box::new(engine),
            last => {
                engines.extend(last);
                Box::new(MultiDeviceEngine::new(engines, specs))
            }
        }
    }
}
