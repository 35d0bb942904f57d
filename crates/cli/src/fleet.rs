//! A model on each device that was chosen, and the engine that trains over them.

use std::thread;

use verdict_model::{AdapterSpec, Model};
use verdict_train::{ModelTrainingEngine, MultiDeviceEngine, TrainSettings, TrainingEngine};

use crate::device::Place;
use crate::failure::Result;
use crate::loading::{self, Source};
use crate::printer::Printer;

/// The same model on one device or several.
pub struct Models {
    /// One for each device.
    pub models: Vec<Model>,
    /// The devices.
    pub places: Vec<Place>,
}

impl Models {
    /// Loads the model on all devices at once; on no more devices than there are adapters.
    pub fn load(
        source: &Source,
        settings: &TrainSettings,
        mut places: Vec<Place>,
        adapters: usize,
        printer: &Printer,
    ) -> Result<Self> {
        if places.len() > adapters {
            let last: Vec<String> = places[adapters.max(1)..].iter().map(Place::label).collect();
            printer.note(format!(
                "more devices than adapters: {} not used",
                last.join(", ")
            ));
            places.truncate(adapters.max(1));
        }
        for place in &places {
            if let (Some(name), false) = (&place.name, printer.logs()) {
                printer.note(format!("computing on {} ({name})", place.label()));
            }
        }
        let models: Result<Vec<Model>> = thread::scope(|scope| {
            let started: Vec<_> = places
                .iter()
                .map(|place| scope.spawn(move || source.load(loading::options(settings, place))))
                .collect();
            let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|loaded| loaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        Ok(Self {
            models: models?,
            places,
        })
    }

    /// An engine for these adapters, in the order in which they will be made.
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
