//! The end of a run: adapters and predictions to the disk, the choice, the manifest.

use std::collections::BTreeMap;

use verdict_answer::{Calibrations, calibration};

use super::Training;
use crate::card;
use crate::cross_validation::{CrossValidation, NestedValidation};
use crate::error::{Error, Result};
use crate::events::{EventKind, Outcome};
use crate::manifest::{AdapterRecord, LABEL_SCORE, Manifest};
use crate::predictions::Prediction;
use crate::select;
use crate::validation::ValidationResult;

impl Training<'_> {
    /// Saves the adapters, chooses the best, writes the manifest.
    pub(super) fn finish(&mut self) -> Result<Manifest> {
        let mut records = self.save()?;
        let nested = self.judge_folds(&mut records)?;
        let predictions = self.predictions();
        self.run.write_validation(predictions.iter().cloned())?;
        self.calibrate(&predictions, &mut records)?;
        let best = select::best(&records).ok_or_else(|| self.nobody())?;
        let best = records[best].adapter.name.clone();
        let rule = match nested {
            Some(_) => select::FOLDS_RULE,
            None => select::RULE,
        };
        let base = self.base.as_deref().unwrap_or_default();
        let mut manifest = Manifest {
            tool: Manifest::tool(),
            provenance: self.provenance.clone(),
            machines: self.run.machines(),
            pass_tokens: Some(self.pass_tokens),
            label_score: Some(LABEL_SCORE.to_owned()),
            steps: self.done,
            train_rows: self.plan.subsets[0].train.len(),
            base: self.score(&self.base_rows(), base),
            nested,
            best: best.clone(),
            rule: rule.into(),
            adapters: records,
            settings: self.settings.clone(),
        };
        card::write(self.run, &mut manifest)?;
        let end = EventKind::End {
            outcome: Outcome::Finished,
            best: Some(best),
            error: None,
        };
        self.sink.emit(self.done, None, end)?;
        self.run.finish(&manifest)?;
        Ok(manifest)
    }

    /// Saves each member that was not taken out; the members' records, without what folds say.
    fn save(&mut self) -> Result<Vec<AdapterRecord>> {
        let plan = self.plan;
        let mut records = Vec::new();
        for (fit, adapter) in plan.adapters.iter().enumerate() {
            let name = &adapter.name;
            let mut files = BTreeMap::new();
            let stopped = self.fits[fit].diverged().cloned();
            let mut kept_step = None;
            if stopped.is_none() {
                self.look_around()?;
                kept_step = self.recall(fit)?;
                let index = self.fits[fit].engine_index;
                files = self.run.save(name, |dir| self.engine.save(index, dir))?;
                let path = format!("adapters/{name}");
                self.sink
                    .emit(self.done, Some(name), EventKind::Saved { path })?;
            }
            let held = &plan.subset_of(fit).held_out;
            let found = self.fits[fit].found.as_ref();
            records.push(AdapterRecord {
                adapter: adapter.clone(),
                diverged: stopped,
                early_stop: self.fits[fit].early_stop().cloned(),
                kept_step,
                train_loss: self.fits[fit].train_loss,
                validation: found.map(|found| self.score(held, found)),
                folds: Vec::new(),
                files,
            });
        }
        Ok(records)
    }

    /// Out-of-fold scores into the records, the folds' predictions to the disk.
    fn judge_folds(&mut self, records: &mut [AdapterRecord]) -> Result<Option<NestedValidation>> {
        if self.settings.folds.is_none() {
            return Ok(None);
        }
        let folded = self.folded();
        for (adapter, record) in records.iter_mut().enumerate() {
            record.validation = folded.out_of_fold(adapter);
            record.folds = folded.folds_of(adapter);
        }
        let nested = folded.nested();
        self.run.write_folds(folded.lines())?;
        for (fit, record) in records.iter().enumerate() {
            if let Some(score) = record.validation {
                self.report(Some(fit), score)?;
            }
        }
        Ok(Some(nested))
    }

    fn folded(&self) -> CrossValidation<'_> {
        let fits = self.fits.iter();
        let found = fits.map(|fit| fit.found.as_deref().filter(|_| fit.diverged().is_none()));
        CrossValidation {
            plan: self.plan,
            pool: &self.pool,
            found: found.collect(),
        }
    }

    /// The content of `validation.jsonl`: the base model, then each member that was not taken out.
    fn predictions(&self) -> Vec<Prediction> {
        let lines = |name: Option<&'_ str>,
                     rows: &[usize],
                     found: &[ValidationResult]|
         -> Vec<Prediction> {
            let rows = rows.iter().zip(found);
            rows.map(|(row, found)| Prediction::new(name, self.pool[*row], found))
                .collect()
        };
        let base = self.base.as_deref().unwrap_or_default();
        let mut all = lines(None, &self.base_rows(), base);
        if self.settings.folds.is_some() {
            all.extend(self.folded().outer());
            return all;
        }
        for (fit, adapter) in self.plan.adapters.iter().enumerate() {
            let running = &self.fits[fit];
            if running.diverged().is_none() {
                let found = running.found.as_deref().unwrap_or_default();
                all.extend(lines(
                    Some(&adapter.name),
                    &self.plan.subset_of(fit).held_out,
                    found,
                ));
            }
        }
        all
    }

    /// Writes beside each adapter what makes its probabilities mean what they say, fitted on its predictions.
    fn calibrate(&self, predictions: &[Prediction], records: &mut [AdapterRecord]) -> Result<()> {
        for record in records.iter_mut().filter(|of| of.diverged.is_none()) {
            let name = record.adapter.name.as_str();
            let rows: Vec<calibration::LabelledLogits> = predictions
                .iter()
                .filter(|of| of.adapter.as_deref() == Some(name))
                .map(|of| (of.logits.map(f64::from), of.truth))
                .collect();
            let text = serde_json::json!(Calibrations::fit(&rows)).to_string() + "\n";
            let hash = self.run.add(name, calibration::FILE, text.as_bytes())?;
            record.files.insert(calibration::FILE.to_owned(), hash);
        }
        Ok(())
    }

    /// Every adapter that was taken out, where none is left to choose.
    fn nobody(&self) -> Error {
        let reasons = self.fits.iter().filter_map(super::Running::diverged);
        Error::Diverged {
            reasons: reasons.cloned().collect(),
        }
    }
}
