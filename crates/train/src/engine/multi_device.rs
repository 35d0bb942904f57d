//! Several engines as one: each adapter stands on one device, and the devices work at the same time.
//!
//! An adapter's results are its engine's: which device it stands on, and what stands on the others,
//! does not change them, as long as the devices are of one kind.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{AdapterSpec, AdapterState, Example, ExampleLoss, Rate, TrainingEngine};
use crate::error::EngineError;

/// Where each adapter goes: device numbers below `devices`, in the order of `specs`.
///
/// A row costs 1 for the frozen products and rank/64 for the adapter's own. The costliest adapter
/// goes first, each to the device with the least so far; ties go to the first adapter and device.
///
/// # Panics
/// When there are no devices.
pub fn plan(specs: &[AdapterSpec], devices: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|adapter| std::cmp::Reverse(specs[*adapter].rank));
    let mut load = vec![0; devices];
    let mut places = vec![0; specs.len()];
    for adapter in order {
        let device = (0..devices).min_by_key(|device| load[*device]);
        let device = device.expect("a plan needs devices");
        load[device] += 64 + specs[adapter].rank;
        places[adapter] = device;
    }
    places
}

/// An engine on each of several devices.
///
/// Examples without an adapter go to the first device.
#[derive(Debug)]
pub struct MultiDeviceEngine<E> {
    /// One for each device, locked by the one thread that works with it: an engine need not be `Sync`.
    devices: Vec<Mutex<E>>,
    specs: Vec<AdapterSpec>,
    /// Each planned adapter's device.
    plan: Vec<usize>,
    /// Each made adapter's device and its number there.
    made: Vec<(usize, usize)>,
}

fn lock<E>(engine: &Mutex<E>) -> MutexGuard<'_, E> {
    // A panic of a device's thread goes on in the caller's.
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E: TrainingEngine + Send> MultiDeviceEngine<E> {
    /// An engine for each device, and every adapter that is going to be made, in that order.
    ///
    /// # Panics
    /// When there is no engine.
    pub fn new(engines: Vec<E>, specs: &[AdapterSpec]) -> Self {
        Self {
            plan: plan(specs, engines.len()),
            devices: engines.into_iter().map(Mutex::new).collect(),
            specs: specs.to_vec(),
            made: Vec::new(),
        }
    }

    /// Device and number there of an adapter, or of the bare base.
    fn place(&self, adapter: Option<usize>) -> Result<(usize, Option<usize>), EngineError> {
        let Some(adapter) = adapter else {
            return Ok((0, None));
        };
        let place = self.made.get(adapter);
        let (device, number) =
            place.ok_or_else(|| format!("adapter {adapter}: {} were made", self.made.len()))?;
        Ok((*device, Some(*number)))
    }

    /// Hands each of `items` to its device, renamed for it, all devices at once; the results come back
    /// in the order of `items`.
    fn spread<T: Sync + Send, R: Send>(
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
            let found = work(&mut lock(device), share)?;
            let (got, wanted) = (found.len(), share.len());
            if got == wanted {
                Ok(found)
            } else {
                Err(format!("expected {wanted} results of a device, found {got}").into())
            }
        };
        let found: Vec<Result<Vec<R>, EngineError>> = thread::scope(|scope| {
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
                    Some(Ok(found)) => found,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        let mut found: Vec<std::vec::IntoIter<R>> = found
            .into_iter()
            .map(|found| found.map(Vec::into_iter))
            .collect::<Result<_, _>>()?;
        Ok(order
            .into_iter()
            .filter_map(|device| found[device].next())
            .collect())
    }

    fn placed<'e>(
        &self,
        examples: &[Example<'e>],
    ) -> impl Iterator<Item = Result<(usize, Example<'e>), EngineError>> {
        examples.iter().map(|example| {
            let (device, adapter) = self.place(example.adapter)?;
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
        let index = self.made.len();
        let planned = self.specs.get(index);
        if planned != Some(spec) {
            let planned = planned.map_or("no more adapters", |planned| planned.name.as_str());
            return Err(format!("expected {planned} by the plan, found {}", spec.name).into());
        }
        let number = self.plan[index];
        let local = lock(&self.devices[number]).create(spec)?;
        self.made.push((number, local));
        Ok(index)
    }

    fn accumulate(
        &mut self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.spread(self.placed(examples), |engine, share| {
            engine.accumulate(share, probes)
        })
    }

    fn step(&mut self, rates: &[Rate]) -> Result<Vec<f32>, EngineError> {
        let placed = rates.iter().map(|rate| {
            let (device, adapter) = self.place(Some(rate.adapter))?;
            let adapter = adapter.unwrap_or_default();
            Ok((device, Rate { adapter, ..*rate }))
        });
        self.spread(placed, |engine, share| engine.step(share))
    }

    fn evaluate(
        &self,
        examples: &[Example<'_>],
        probes: &[u32],
    ) -> Result<Vec<ExampleLoss>, EngineError> {
        self.spread(self.placed(examples), |engine, share| {
            engine.evaluate(share, probes)
        })
    }

    fn state(&self, adapter: usize) -> Result<AdapterState, EngineError> {
        let (device, adapter) = self.place(Some(adapter))?;
        lock(&self.devices[device]).state(adapter.unwrap_or_default())
    }

    fn restore(&mut self, adapter: usize, state: &AdapterState) -> Result<(), EngineError> {
        let (device, adapter) = self.place(Some(adapter))?;
        lock(&self.devices[device]).restore(adapter.unwrap_or_default(), state)
    }

    fn save(&self, adapter: usize, dir: &Path) -> Result<(), EngineError> {
        let (device, adapter) = self.place(Some(adapter))?;
        lock(&self.devices[device]).save(adapter.unwrap_or_default(), dir)
    }

    fn device_of(&self, adapter: Option<usize>) -> usize {
        self.place(adapter).map_or(0, |(device, _)| device)
    }

    fn pass_tokens(&self) -> usize {
        let tokens = self.devices.iter().map(|device| lock(device).pass_tokens());
        tokens.min().unwrap_or(super::PASS_TOKENS)
    }
}

#[cfg(test)]
mod tests;
