//! Several engines as one: each adapter is assigned to one device, and the devices work in parallel.
//!
//! An adapter's results do not depend on its device or on the adapters of other devices, as long as all
//! devices are of the same model.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use verdict_model::formats::Adapter;

use super::{AdapterSpec, AdapterState, Example, ExampleLoss, Rate, TrainingEngine};
use crate::error::EngineError;

/// Assigns each adapter to a device: indices below `devices`, in the order of `specs`.
///
/// A token costs 1 for the frozen matrix products and rank/64 for those of the adapter. The most
/// expensive adapter is assigned first, each to the device with the lowest cost so far; of equals, the
/// first adapter and the first device.
///
/// # Panics
/// If `devices` is 0.
pub fn assign_devices(specs: &[AdapterSpec], devices: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|adapter| std::cmp::Reverse(specs[*adapter].rank));
    let mut load = vec![0; devices];
    let mut assigned = vec![0; specs.len()];
    for adapter in order {
        let device = (0..devices).min_by_key(|device| load[*device]);
        let device = device.expect("at least one device");
        load[device] += 64 + specs[adapter].rank;
        assigned[adapter] = device;
    }
    assigned
}

/// An engine on each of several devices.
///
/// Examples without an adapter are evaluated on the first device.
#[derive(Debug)]
pub struct MultiDeviceEngine<E> {
    /// One engine per device, locked by the thread that uses it, because an engine need not be `Sync`.
    devices: Vec<Mutex<E>>,
    specs: Vec<AdapterSpec>,
    /// The device of each planned adapter.
    assigned: Vec<usize>,
    /// The device of each created adapter and its index in that device's engine.
    created: Vec<(usize, usize)>,
}

fn lock<E>(engine: &Mutex<E>) -> MutexGuard<'_, E> {
    // A panic in a device's thread is resumed in the caller's thread.
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: TrainingEngine + Send> MultiDeviceEngine<E> {
    /// An engine for each device, and the adapters that will be created, in that order.
    ///
    /// # Panics
    /// If there is no engine.
    pub fn new(engines: Vec<E>, specs: &[AdapterSpec]) -> Self {
        Self {
            assigned: assign_devices(specs, engines.len()),
            devices: engines.into_iter().map(Mutex::new).collect(),
            specs: specs.to_vec(),
            created: Vec::new(),
        }
    }

    /// The device of an adapter and its index there; of `None`, the bare base model.
    fn locate(&self, adapter: Option<usize>) -> Result<(usize, Option<usize>), EngineError> {
        let Some(adapter) = adapter else {
            return Ok((0, None));
        };
        let (device, index) = self.created.get(adapter).ok_or_else(|| {
            let count = self.created.len();
            format!("expected an adapter below {count}, found {adapter}")
        })?;
        Ok((*device, Some(*index)))
    }

    /// Passes each of `items` to its device, all devices in parallel. The results are in the order of
    /// `items`.
    fn distribute<T: Sync + Send, R: Send>(
        &self,
        items: impl Iterator<Item = Result<(usize, T), EngineError>>,
        work: impl Fn(&mut E, &[T]) -> Result<Vec<R>, EngineError> + Sync,
    ) -> Result<Vec<R>, EngineError> {
        let mut shares: Vec<Vec<T>> = self.devices.iter().map(|_| Vec::new()).collect();
        let mut order = Vec::new();
        for item in items {
            let (device, item) = item?;
            shares[device].push(item);
            order.push(device);
        }
        let work = &work;
        let one = |device: &Mutex<E>, share: &[T]| -> Result<Vec<R>, EngineError> {
            let results = work(&mut lock(device), share)?;
            let (found, expected) = (results.len(), share.len());
            if found == expected {
                Ok(results)
            } else {
                Err(format!("expected {expected} results from a device, found {found}").into())
            }
        };
        let results: Vec<Result<Vec<R>, EngineError>> = thread::scope(|scope| {
            let one = &one;
            let started: Vec<_> = self
                .devices
                .iter()
                .zip(&shares)
                .map(|(device, share)| {
                    (!share.is_empty()).then(|| scope.spawn(move || one(device, share)))
                })
                .collect();
            started
                .into_iter()
                .map(|thread| match thread.map(thread::ScopedJoinHandle::join) {
                    None => Ok(Vec::new()),
                    Some(Ok(results)) => results,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        let mut results: Vec<std::vec::IntoIter<R>> = results
            .into_iter()
            .map(|results| results.map(Vec::into_iter))
            .collect::<Result<_, _>>()?;
        Ok(order
            .into_iter()
            .filter_map(|device| results[device].next())
            .collect())
    }

    /// The examples with their devices, each with the adapter index of its device.
    fn located<'e>(
        &self,
        examples: &[Example<'e>],
    ) -> impl Iterator<Item = Result<(usize, Example<'e>), EngineError>> {
        examples.iter().map(|example| {
            let (device, adapter) = self.locate(example.adapter)?;
            Ok((
                device,
                Example {
                    adapter,
                    ..*example
                },
            ))
        })
    }
}

impl<E: TrainingEngine + Send> TrainingEngine for MultiDeviceEngine<E> {
    fn create(&mut self, spec: &AdapterSpec) -> Result<usize, EngineError> {
        let index = self.created.len();
        let planned = self.specs.get(index);
        if planned != Some(spec) {
            let expected = planned.map_or_else(
                || "no more adapters".to_owned(),
                |planned| format!("{} as the next adapter", planned.name),
            );
            return Err(format!("expected {expected}, found {}", spec.name).into());
        }
        let device = self.assigned[index];
        let local = lock(&self.devices[device]).create(spec)?;
        self.created.push((device, local));
        Ok(index)
    }

    fn initialize(&mut self, adapter: usize, from: &Adapter) -> Result<(), EngineError> {
        let (device, adapter) = self.locate(Some(adapter))?;
        lock(&self.devices[device]).initialize(adapter.unwrap_or_default(), from)
    }

    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.distribute(self.located(examples), |engine, share| {
            engine.accumulate(share, probes)
        })
    }

    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError> {
        let located = rates.iter().map(|rate| {
            let (device, adapter) = self.locate(Some(rate.adapter))?;
            let adapter = adapter.unwrap_or_default();
            Ok((device, Rate { adapter, ..*rate }))
        });
        self.distribute(located, |engine, share| engine.step(share))
    }

    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.distribute(self.located(examples), |engine, share| {
            engine.evaluate(share, probes)
        })
    }

    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError> {
        let (device, adapter) = self.locate(Some(adapter))?;
        lock(&self.devices[device]).state(adapter.unwrap_or_default())
    }

    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError> {
        let (device, adapter) = self.locate(Some(adapter))?;
        lock(&self.devices[device]).restore(adapter.unwrap_or_default(), state)
    }

    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError> {
        let (device, adapter) = self.locate(Some(adapter))?;
        lock(&self.devices[device]).save(adapter.unwrap_or_default(), dir)
    }

    fn device_of(&self, adapter: Option<usize>) -> usize {
        self.locate(adapter).map_or(0, |(device, _)| device)
    }

    fn micro_batch_tokens(&self) -> usize {
        let tokens = self.devices.iter();
        let tokens = tokens.map(|device| lock(device).micro_batch_tokens());
        tokens.min().unwrap_or(super::MICRO_BATCH_TOKENS)
    }
}

#[cfg(test)]
mod tests;
