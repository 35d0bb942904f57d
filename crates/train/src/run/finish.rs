//! The end of a run: adapters and predictions are saved, the best adapter is chosen, the manifest is
//! written.

use std::collections::BTreeMap;

use verdict_answer::{Calibrations, calibration};

use super::active_fit::ActiveFit;
use super::training::Training;
use crate::card;
use crate::cross_validation::CrossValidation;
use crate::error::{Error, Result};
use crate::events::{EventKind, Outcome};
use crate::manifest::{AdapterRecord, LABEL_SCORE, Manifest, NestedValidation};
use crate::predictions::Prediction;
use crate::select;
use crate::validation::ValidationResult;

impl Training<'_> {
    /// Saves the adapters, chooses the best one and writes the manifest.
    pub(super) fn finish(&mut self) -> Result<Manifest> {
        let mut records = self.save()?;
        let nested = self.score_folds(&mut records)?;
        let predictions = self.predictions();
        self.run.write_validation(predictions.iter().cloned())?;
        self.calibrate(&predictions, &mut records)?;
        let best = select::best(&records).ok_or_else(|| self.all_diverged())?;
        let best = records[best].adapter.name.clone();
        let rule = match self.settings.folds {
            Some(_) => select::FOLDS_RULE,
            None => select::RULE,
        };
        let base = self.base.as_deref().unwrap_or_default();
        let mut manifest = Manifest {
            tool: Manifest::tool(),
            provenance: self.provenance.clone(),
            machines: self.run.machines(),
            micro_batch_tokens: Some(self.micro_batch_tokens),
            label_score: Some(LABEL_SCORE.to_owned()),
            steps: self.done,
            train_rows: self.plan.subsets[0].train.len(),
            base: self.score(&self.base_examples(), base),
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
        self.emit(None, end)?;
        self.run.finish(&manifest)?;
        Ok(manifest)
    }

    /// Saves each adapter that did not diverge. Returns the records of all adapters, still without the
    /// scores of folds.
    fn save(&mut self) -> Result<Vec<AdapterRecord>> {
        let plan = self.plan;
        let mut records = Vec::new();
        for (fit, adapter) in plan.adapters.iter().enumerate() {
            let name = &adapter.name;
            let mut files = BTreeMap::new();
            let diverged = self.fits[fit].diverged().cloned();
            let mut kept_step = None;
            if diverged.is_none() {
                self.handle_requests()?;
                kept_step = self.restore_best(fit)?;
                let index = self.fits[fit].engine_index;
                files = self.run.save(name, |dir| self.engine.save(index, dir))?;
                let path = format!("adapters/{name}");
                self.emit(Some(name), EventKind::Saved { path })?;
            }
            let held_out = &plan.subset_of(fit).held_out;
            let results = self.fits[fit].results.as_ref();
            records.push(AdapterRecord {
                adapter: adapter.clone(),
                diverged,
                early_stop: self.fits[fit].early_stop().cloned(),
                kept_step,
                train_loss: self.fits[fit].train_loss,
                validation: results.map(|results| self.score(held_out, results)),
                folds: Vec::new(),
                files,
            });
        }
        Ok(records)
    }

    /// Adds the out-of-fold scores to the records and writes the predictions of the folds.
    fn score_folds(&mut self, records: &mut [AdapterRecord]) -> Result<Option<NestedValidation>> {
        if self.settings.folds.is_none() {
            return Ok(None);
        }
        let folds = self.cross_validation();
        for (adapter, record) in records.iter_mut().enumerate() {
            record.validation = folds.out_of_fold(adapter);
            record.folds = folds.scores_of(adapter);
        }
        let nested = self.plan.is_nested().then(|| folds.nested());
        self.run.write_folds(folds.fold_predictions())?;
        for (fit, record) in records.iter().enumerate() {
            if let Some(score) = record.validation {
                self.report(Some(fit), score)?;
            }
        }
        Ok(nested)
    }

    fn cross_validation(&self) -> CrossValidation<'_> {
        let fits = self.fits.iter();
        let results = fits.map(|fit| fit.results.as_deref().filter(|_| fit.diverged().is_none()));
        CrossValidation {
            plan: self.plan,
            pool: &self.pool,
            results: results.collect(),
        }
    }

    /// The content of `validation.jsonl`: the base model, then each adapter that did not diverge.
    fn predictions(&self) -> Vec<Prediction> {
        let predictions = |name: Option<&'_ str>,
                           examples: &[usize],
                           results: &[ValidationResult]|
         -> Vec<Prediction> {
            let examples = examples.iter().zip(results);
            examples
                .map(|(example, result)| Prediction::new(name, self.pool[*example], result))
                .collect()
        };
        let base = self.base.as_deref().unwrap_or_default();
        let mut all = predictions(None, &self.base_examples(), base);
        if self.settings.folds.is_some() {
            all.extend(self.cross_validation().outer_predictions());
            return all;
        }
        for (fit, adapter) in self.plan.adapters.iter().enumerate() {
            let active = &self.fits[fit];
            if active.diverged().is_none() {
                let results = active.results.as_deref().unwrap_or_default();
                let held_out = &self.plan.subset_of(fit).held_out;
                all.extend(predictions(Some(&adapter.name), held_out, results));
            }
        }
        all
    }

    /// Fits each saved adapter's calibration on its predictions and writes it into the adapter's folder.
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

    /// The error of a run in which no adapter is left to choose.
    fn all_diverged(&self) -> Error {
        let reasons = self.fits.iter().filter_map(ActiveFit::diverged);
        Error::Diverged {
            reasons: reasons.cloned().collect(),
        }
    }
}
