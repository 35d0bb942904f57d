//! `adapters/<name>/README.md`: an adapter's model card in the format of the Hugging Face hub, YAML between
//! two lines `---`, then Markdown.
//!
//! It contains only what the run recorded: no date, no path of this machine, no number that was not
//! measured. For keys and their values see the hub's documentation, "Model Cards" and `modelcard.md`.

mod data;
mod front;

use verdict_common::share;

use crate::error::Result;
use crate::manifest::{AdapterRecord, Manifest};
use crate::new_run::NewRun;
use crate::validation::{Score, interval};

/// Name of the file in an adapter's folder, the same that PEFT uses.
pub const FILE: &str = "README.md";

/// Probability that a random guess among the three labels is right.
const CHANCE: f64 = 1.0 / 3.0;

/// Writes the card of each adapter that a run saved, replacing an existing one, and its hash into the
/// manifest.
pub(crate) fn write(run: &NewRun, manifest: &mut Manifest) -> Result<()> {
    for index in 0..manifest.adapters.len() {
        let record = &manifest.adapters[index];
        if record.diverged.is_none() {
            let text = card(manifest, record);
            let hash = run.add(&record.adapter.name, FILE, text.as_bytes())?;
            let files = &mut manifest.adapters[index].files;
            files.insert(FILE.to_owned(), hash);
        }
    }
    Ok(())
}

/// The card of a saved adapter. Its record lists the other files of its folder.
pub fn card(manifest: &Manifest, record: &AdapterRecord) -> String {
    let card = Card { manifest, record };
    let parts = [
        card.front(),
        card.head(),
        card.uses(),
        card.usage(),
        card.base(),
        card.data(),
        card.procedure(),
        card.figures(),
        card.computed(),
        card.hashes(),
    ];
    let mut text = parts.join("\n");
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

struct Card<'a> {
    manifest: &'a Manifest,
    record: &'a AdapterRecord,
}

impl Card<'_> {
    /// Whether its score is an out-of-fold score.
    fn folds(&self) -> bool {
        self.manifest.settings.folds.is_some()
    }

    fn head(&self) -> String {
        let name = &self.record.adapter.name;
        format!(
            "# {name}: a LoRA adapter that answers biomedical yes/no questions\n\n\
             Trained with {tool} on the frozen base model {base}. It answers in one format, \
             `Yes|No|Uncertain. Rationale: one sentence`. The logits of the three labels give their \
             probabilities.\n",
            tool = self.manifest.tool,
            base = self.base_name(),
        )
    }

    fn uses(&self) -> String {
        "## Intended use and limitations\n\n\
         For research on short answers to biomedical questions in English: to be evaluated against its \
         base model, calibrated and compared.\n\n\
         **Not medical advice.** It must not decide about a patient. It is not meant for questions that \
         cannot be answered with yes or no, for other languages, or as a source: its rationale is \
         generated without looking anything up and may be wrong even where the label is right.\n"
            .to_owned()
    }

    fn usage(&self) -> String {
        let name = &self.record.adapter.name;
        let gguf = self.manifest.settings.model.ends_with(".gguf");
        let layout = match gguf {
            true => " (the weights of the GGUF file above)",
            false => "",
        };
        format!(
            "## How to use it\n\n\
             With Verdict, from the run folder `RUN` that contains it as `adapters/{name}`:\n\n\
             ```\nverdict ask --run RUN --adapter {name} \"Do antibiotics help in acute bronchitis?\"\n```\n\n\
             With PEFT, where `BASE` is the base model in Hugging Face format{layout} and `ADAPTER` this \
             folder:\n\n\
             ```python\n\
             from peft import PeftModel\n\
             from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained(BASE)\n\
             model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), ADAPTER)\n\
             prompt = tokenizer(\"Q: Do antibiotics help in acute bronchitis?\\nA:\", return_tensors=\"pt\")\n\
             answer = model.generate(**prompt, max_new_tokens=64)\n\
             ```\n\n\
             There is no chat template. The prompt is `Q: …`, a line break and `A:`; a context, if there is \
             one, precedes it in a line `Context: …`. `calibration.json` contains the temperature with which \
             `verdict ask` calibrates the three probabilities, fitted on the examples of the section \
             Validation.\n"
        )
    }

    fn procedure(&self) -> String {
        let (settings, adapter) = (&self.manifest.settings, &self.record.adapter);
        let steps = match (&self.record.early_stop, self.record.kept_step) {
            (Some(stop), Some(kept)) => format!(
                "{} of {} ({}); weights of step {kept}",
                stop.step, self.manifest.steps, stop.reason
            ),
            (Some(stop), None) => {
                format!("{} of {} ({})", stop.step, self.manifest.steps, stop.reason)
            }
            (None, Some(kept)) => format!("{}; weights of step {kept}", self.manifest.steps),
            (None, None) => self.manifest.steps.to_string(),
        };
        let settings_table = toml::Table::try_from(settings).unwrap_or_default();
        let word = |key: &str| match settings_table.get(key) {
            Some(toml::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "none".to_owned(),
        };
        let grid = self.manifest.adapters.len();
        let rows = [
            ("LoRA rank", adapter.rank.to_string()),
            ("LoRA alpha", number(adapter.alpha)),
            ("LoRA dropout", number(adapter.dropout)),
            (
                "adapted modules",
                "every linear layer of every decoder block".to_owned(),
            ),
            (
                "optimizer",
                "AdamW (betas 0.9 and 0.999, eps 1e-8), no weight decay".to_owned(),
            ),
            ("peak learning rate", format!("{:e}", adapter.lr)),
            ("schedule", word("schedule")),
            ("warm-up ratio", number(self.manifest.settings.warmup)),
            ("optimizer steps", steps),
            ("examples per step", settings.batch.to_string()),
            ("maximum sequence length", settings.max_length.to_string()),
            (
                "gradient clipping",
                match settings.clip > 0.0 {
                    true => number(settings.clip),
                    false => "none".to_owned(),
                },
            ),
            ("loss on", word("loss")),
            ("class weights", word("class_weights")),
            ("base-model quantization", word("base")),
            ("compute dtype", word("compute")),
            ("seed", adapter.seed.to_string()),
            ("training examples", self.manifest.train_rows.to_string()),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
        let among = match grid {
            1 => String::new(),
            _ => format!(
                "\nIt was trained together with {}; each adapter is the same as if it had been trained alone.\n",
                match grid {
                    2 => "one other".to_owned(),
                    _ => format!("{} others", grid - 1),
                }
            ),
        };
        format!(
            "## Training procedure\n\n{}{among}",
            table(&["setting", "value"], &rows)
        )
    }

    /// The validation scores, how they were measured, and what they do not show.
    fn figures(&self) -> String {
        let Some(score) = self.record.validation else {
            return "## Validation\n\nNot measured.\n".to_owned();
        };
        let (base, (low, _)) = (self.manifest.base, interval(score.accuracy, score.n));
        let mut rows = vec![
            scored("this adapter", score),
            scored("base model without it", base),
            vec!["random guess among three labels".into(), share(CHANCE)],
        ];
        let most = self.most_common_label();
        if let Some((label, most)) = &most {
            rows.push(vec![format!("always {label}"), share(*most)]);
        }
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|mut row| {
                row.resize(5, String::new());
                row
            })
            .collect();
        let on = match self.folds() {
            true => format!(
                "Out of fold: each example was predicted by adapters with the same settings that did not see it \
                 ({} folds, drawn {}); the adapter saved here saw all examples.",
                self.manifest.settings.folds.unwrap_or_default(),
                match self.manifest.settings.repeats.unwrap_or(1) {
                    1 => "once".to_owned(),
                    times => format!("{times} times; the score is their mean"),
                }
            ),
            false => "On the validation examples, which it did not learn from.".to_owned(),
        };
        let head = [
            "model",
            "label accuracy",
            "95 % CI (Wilson)",
            "examples",
            "loss, nats per token",
        ];
        let mut text = format!("## Validation\n\n{on}\n\n{}", table(&head, &rows));
        let bar = most.map_or(CHANCE, |(_, most)| most.max(CHANCE));
        if low <= bar {
            text.push_str(&format!(
                "\nThe confidence interval reaches down to {}: these examples do not show that the adapter is better \
                 than guessing or always answering with the most common label.\n",
                share(low)
            ));
        }
        let (n, rule) = (self.manifest.adapters.len(), &self.manifest.rule);
        if n > 1 || self.record.kept_step.is_some() {
            let best = self.manifest.best == self.record.adapter.name;
            text.push_str(&format!(
                "\nThese examples were also used to choose{}, so the score of the chosen one is too optimistic.{}\n",
                match (n > 1, self.record.kept_step.is_some()) {
                    (true, true) => " the step and among adapters",
                    (true, false) => " among adapters",
                    _ => " the step",
                },
                match (n > 1, best) {
                    (true, true) => format!(" This adapter was chosen among {n} by this rule: {rule}."),
                    (true, false) => {
                        format!(" Of the {n} adapters another was chosen, by this rule: {rule}.")
                    }
                    _ => String::new(),
                }
            ));
        }
        if let Some(nested) = &self.manifest.nested {
            let (low, high) = interval(nested.accuracy, nested.n);
            text.push_str(&format!(
                "\nNested cross-validation of the whole procedure, including the choice of the adapter: label accuracy \
                 {} [{}–{}] on {} examples.\n",
                share(nested.accuracy),
                share(low),
                share(high),
                nested.n
            ));
        }
        text
    }

    fn computed(&self) -> String {
        if self.manifest.machines.is_empty() {
            return "## Computed on\n\nNot recorded.\n".to_owned();
        }
        let rows: Vec<Vec<String>> = self
            .manifest
            .machines
            .iter()
            .map(|machine| {
                let memory = |gib: u64| format!("{gib} GiB");
                vec![
                    machine.program(),
                    machine.describe(),
                    format!("{} {}", machine.system, machine.architecture),
                    machine.processor.clone(),
                    machine.threads.to_string(),
                    machine.memory_gib.map_or_else(String::new, memory),
                ]
            })
            .collect();
        let head = [
            "program",
            "computed on",
            "system",
            "processor",
            "threads",
            "memory",
        ];
        let several = match rows.len() {
            1 => "",
            _ => {
                "\nSeveral machines computed the run: it was resumed from a checkpoint, or its shards were trained on \
                 different machines.\n"
            }
        };
        format!("## Computed on\n\n{}{several}", table(&head, &rows))
    }

    fn hashes(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .record
            .files
            .iter()
            .filter(|(file, _)| *file != FILE)
            .map(|(file, hash)| vec![code(file), code(hash)])
            .collect();
        format!(
            "## Files\n\n{}\nThe run's `MANIFEST.json` contains these hashes, that of this file, and every setting.\n",
            table(&["file", "SHA-256"], &rows)
        )
    }
}

/// A row of the table of scores.
fn scored(model: &str, score: Score) -> Vec<String> {
    let (low, high) = interval(score.accuracy, score.n);
    vec![
        model.to_owned(),
        share(score.accuracy),
        format!("{}–{}", share(low), share(high)),
        score.n.to_string(),
        format!("{:.3}", score.loss),
    ]
}

/// A number with all its digits.
fn number(of: f64) -> String {
    of.to_string()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A Markdown table.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let plain = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&line(head.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(plain).collect()));
    }
    text
}

#[cfg(test)]
mod tests;
