//! The card's sections on what the adapter was made from: base model and data set.

use std::path::Path;

use verdict_data::Label;

use super::{Card, code, table};

impl Card<'_> {
    /// What the base model is called: its repository on the hub, else its name, else of a path its last
    /// part.
    pub(super) fn base_name(&self) -> String {
        let model = self.manifest.provenance.model.as_ref();
        if let Some(repository) = model.and_then(|model| model.repository()) {
            return repository.to_owned();
        }
        let named = Path::new(&self.manifest.settings.model);
        let last = named.file_name().unwrap_or(named.as_os_str());
        last.to_string_lossy().into_owned()
    }

    pub(super) fn base(&self) -> String {
        let of = &self.manifest.provenance;
        let mut rows = vec![vec!["name".to_owned(), self.base_name()]];
        let mut say = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        if let Some(model) = &of.model {
            if let Some(source) = &model.source {
                say("source", code(source));
            }
            say("family", model.family.clone());
            say("parameters", model.parameters.to_string());
            let (layers, width) = (model.num_hidden_layers, model.hidden_size);
            say(
                "shape",
                format!(
                    "{layers} blocks of width {width}, {} heads over {} key and value heads, vocabulary {}",
                    model.num_attention_heads, model.num_key_value_heads, model.vocab_size
                ),
            );
            let licence = model.licence.as_deref().unwrap_or("not known to Verdict");
            say("licence of its weights", licence.to_owned());
            if let Some(hash) = &model.tokenizer_sha256 {
                say("SHA-256 of tokenizer.json", code(hash));
            }
        }
        say("SHA-256", code(&of.model_sha256));
        format!(
            "## Base model\n\n{}\nNo licence is set for this adapter: that is for whoever gives it away to say, with the \
             licences of base model and data in mind.\n",
            table(&["", ""], &rows)
        )
    }

    pub(super) fn data(&self) -> String {
        let of = &self.manifest.provenance;
        let hash = code(&of.data_manifest_sha256);
        let Some(data) = &of.data else {
            return format!("## Training data\n\nSHA-256 of the data set's manifest: {hash}.\n");
        };
        let sources: Vec<Vec<String>> = data
            .sources
            .iter()
            .map(|source| {
                let files = source.files.iter();
                let files: Vec<String> = files
                    .map(|file| format!("{} {}", code(&file.name), code(&file.sha256)))
                    .collect();
                let kept: usize = data
                    .splits
                    .iter()
                    .filter_map(|split| split.sources.get(&source.source))
                    .sum();
                vec![
                    code(&source.source),
                    source.hub.as_deref().map_or_else(String::new, code),
                    source.rows.to_string(),
                    kept.to_string(),
                    files.join(", "),
                ]
            })
            .collect();
        let splits: Vec<Vec<String>> = data
            .splits
            .iter()
            .map(|split| {
                let mut row = vec![split.split.clone(), split.rows.to_string()];
                let labels = Label::ALL.iter().map(|label| split.labels.get(label));
                row.extend(labels.map(|rows| rows.copied().unwrap_or_default().to_string()));
                row.push(code(&split.sha256));
                row
            })
            .collect();
        let used = match self.folds() {
            true => "Training and validation rows together were the pool of cross-validation.",
            false => "It learnt from the train split.",
        };
        format!(
            "## Training data\n\n{used} The test split has no part in training. Built by Verdict {version}, seed {seed}; SHA-256 of its \
             manifest: {hash}.\n\n{}\n{}",
            table(
                &["split", "rows", "Yes", "No", "Uncertain", "SHA-256"],
                &splits
            ),
            table(
                &[
                    "source",
                    "on the hub",
                    "rows read",
                    "rows kept",
                    "files, SHA-256"
                ],
                &sources
            ),
            version = data.tool_version,
            seed = data.seed,
        )
    }

    /// The commonest label of the rows that the figures are of, and its share.
    pub(super) fn commonest(&self) -> Option<(Label, f64)> {
        let data = self.manifest.provenance.data.as_ref()?;
        let judged: &[&str] = match self.folds() {
            true => &["train", "validation"],
            false => &["validation"],
        };
        let rows = |label: &Label| -> usize {
            let splits = judged.iter().filter_map(|split| data.split(split));
            splits.filter_map(|split| split.labels.get(label)).sum()
        };
        let all: usize = Label::ALL.iter().map(rows).sum();
        // Of equals the first, as it stands in every table.
        let most = Label::ALL.into_iter().rev().max_by_key(rows)?;
        (all > 0).then(|| (most, rows(&most) as f64 / all as f64))
    }
}
