//! The card's metadata in YAML, as the hub reads it.
//!
//! `base_model` and `datasets` must name repositories on the hub, so they are present only if the base model
//! and the examples come from there. `license` is never set, because only the user can choose it.
//! `model-index` contains the validation accuracy under a name that says so.

use std::collections::BTreeSet;

use super::Card;

impl Card<'_> {
    pub(super) fn front(&self) -> String {
        let of = &self.manifest.provenance;
        let mut text = String::from("---\n");
        let model = of.model.as_ref();
        if let Some(repository) = model.and_then(|model| model.repository()) {
            text.push_str(&format!("base_model: {}\n", quoted(repository)));
            text.push_str("base_model_relation: adapter\n");
        }
        text.push_str("library_name: peft\npipeline_tag: text-generation\nlanguage:\n- en\n");
        text.push_str("tags:\n- lora\n- peft\n- verdict\n- biomedical\n- yes-no-questions\n");
        let sources = of.data.iter().flat_map(|data| &data.sources);
        let repositories: BTreeSet<&str> = sources
            .filter_map(|source| source.hub.as_deref())
            .map(|of| of.split_once('@').map_or(of, |(repository, _)| repository))
            .collect();
        if !repositories.is_empty() {
            text.push_str("datasets:\n");
            for repository in repositories {
                text.push_str(&format!("- {}\n", quoted(repository)));
            }
        }
        text.push_str(&self.index());
        text.push_str("---\n");
        text
    }

    /// `model-index`, if there is a score.
    fn index(&self) -> String {
        let Some(score) = self.record.validation.filter(|of| of.accuracy.is_finite()) else {
            return String::new();
        };
        let of = &self.manifest.provenance;
        let (set, metric) = match self.folds() {
            true => ("pool", "label accuracy, out of fold"),
            false => ("validation", "label accuracy on validation examples"),
        };
        let set_name = format!(
            "{set} examples of the Verdict data set {}",
            of.data_manifest_sha256.get(..12).unwrap_or_default()
        );
        format!(
            "metrics:\n- accuracy\n\
             model-index:\n\
             - name: {name}\n\
             \x20 results:\n\
             \x20 - task:\n\
             \x20     type: text-generation\n\
             \x20     name: biomedical yes/no/uncertain questions\n\
             \x20   dataset:\n\
             \x20     type: verdict\n\
             \x20     name: {set_name}\n\
             \x20     split: {set}\n\
             \x20   metrics:\n\
             \x20   - type: accuracy\n\
             \x20     value: {value}\n\
             \x20     name: {metric}\n",
            name = quoted(&self.record.adapter.name),
            set_name = quoted(&set_name),
            value = score.accuracy,
            metric = quoted(metric),
        )
    }
}

/// A YAML string: JSON's are YAML's too (YAML 1.2, section 1.3).
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
