//! Flags that users of PEFT, TRL, Unsloth and axolotl type, and what they are called here.

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A flag of another tool, without its dashes and with dashes for underscores, and the way to say it.
const FLAGS: &[(&str, &str)] = &[
    (
        "lora-r",
        "the LoRA rank is --rank 16, or a list: --rank 8,16,32",
    ),
    (
        "lora-rank",
        "the LoRA rank is --rank 16, or a list: --rank 8,16,32",
    ),
    ("r", "the LoRA rank is --rank 16, or a list: --rank 8,16,32"),
    (
        "ranks",
        "the LoRA rank is --rank 16, or a list: --rank 8,16,32",
    ),
    (
        "lora-alpha",
        "alpha is given as a multiple of the rank: --alpha-ratio 2",
    ),
    (
        "alpha",
        "alpha is given as a multiple of the rank: --alpha-ratio 2",
    ),
    ("lora-dropout", "LoRA dropout is --dropout 0.05"),
    ("max-steps", "the number of optimizer steps is --steps 93"),
    ("num-steps", "the number of optimizer steps is --steps 93"),
    ("iters", "the number of optimizer steps is --steps 93"),
    (
        "num-train-epochs",
        "passes over the training rows are --epochs 5.5",
    ),
    (
        "num-epochs",
        "passes over the training rows are --epochs 5.5",
    ),
    ("learning-rate", "the peak learning rate is --lr 3e-4"),
    (
        "lr-scheduler-type",
        "the shape of the learning rate is --schedule linear, cosine or constant",
    ),
    (
        "lr-scheduler",
        "the shape of the learning rate is --schedule linear, cosine or constant",
    ),
    (
        "warmup-ratio",
        "the share of warm-up steps is --warmup 0.03",
    ),
    (
        "warmup-steps",
        "the warm-up is a share of all steps: --warmup 0.03",
    ),
    (
        "max-grad-norm",
        "the largest norm of a gradient is --clip 1.0",
    ),
    (
        "gradient-clipping",
        "the largest norm of a gradient is --clip 1.0",
    ),
    (
        "max-seq-length",
        "the most tokens of a row are --max-length 512",
    ),
    (
        "max-seq-len",
        "the most tokens of a row are --max-length 512",
    ),
    (
        "sequence-len",
        "the most tokens of a row are --max-length 512",
    ),
    (
        "model-max-length",
        "the most tokens of a row are --max-length 512",
    ),
    (
        "cutoff-len",
        "the most tokens of a row are --max-length 512",
    ),
    (
        "batch-size",
        "--batch is the effective batch, the rows of one optimizer step",
    ),
    (
        "per-device-train-batch-size",
        "--batch is the effective batch; memory is bounded by --pass-tokens",
    ),
    (
        "micro-batch-size",
        "--batch is the effective batch; memory is bounded by --pass-tokens",
    ),
    (
        "per-device-eval-batch-size",
        "validation needs no batch size; memory is bounded by --pass-tokens",
    ),
    (
        "gradient-accumulation-steps",
        "gradients are accumulated by themselves: --batch is the effective batch, --pass-tokens bounds memory",
    ),
    (
        "gradient-checkpointing",
        "activations are bounded by --pass-tokens; there is nothing to switch on",
    ),
    (
        "target-modules",
        "adapters are always put on all seven linear modules of a block (q, k, v, o, gate, up, down)",
    ),
    (
        "lora-target-modules",
        "adapters are always put on all seven linear modules of a block (q, k, v, o, gate, up, down)",
    ),
    (
        "eval-steps",
        "optimizer steps between two validations are --validate-every 25",
    ),
    (
        "save-steps",
        "optimizer steps between two checkpoints are --checkpoint-every 25",
    ),
    (
        "early-stopping-patience",
        "early stopping is --patience N, in validations",
    ),
    ("output-dir", "the folder to make is --out FOLDER"),
    ("output", "the folder to make is --out FOLDER"),
    (
        "adapter-path",
        "the folder to make is --out FOLDER; `ask` takes --run RUN --adapter NAME",
    ),
    (
        "model-name-or-path",
        "the base model is --model (folder, GGUF file, hub name or built-in name)",
    ),
    (
        "model-name",
        "the base model is --model (folder, GGUF file, hub name or built-in name)",
    ),
    (
        "base-model",
        "the base model is --model (folder, GGUF file, hub name or built-in name)",
    ),
    (
        "dataset",
        "the data set is --data FOLDER, as `verdict build` writes it",
    ),
    (
        "dataset-name",
        "the data set is --data FOLDER, as `verdict build` writes it",
    ),
    (
        "train-file",
        "the data set is --data FOLDER; `verdict build --source jsonl:FILE --out FOLDER` makes one",
    ),
    (
        "resume-from-checkpoint",
        "an interrupted run is resumed by --resume RUN",
    ),
    ("load-in-4bit", "4-bit weights are --base nf4, on a GPU"),
    ("load-in-8bit", "8-bit weights are --base int8, the default"),
    (
        "bf16",
        "products in bf16 are --compute bf16; the default takes it where the machine has it",
    ),
    (
        "fp16",
        "products are computed in bf16 or f32: --compute bf16, --compute f32",
    ),
    ("random-seed", "the seed is --seed 42"),
    (
        "report-to",
        "nothing is sent anywhere: `verdict watch RUN` shows a run, events.jsonl holds its metrics",
    ),
    (
        "wandb",
        "nothing is sent anywhere: `verdict watch RUN` shows a run, events.jsonl holds its metrics",
    ),
    (
        "wandb-project",
        "nothing is sent anywhere: `verdict watch RUN` shows a run, events.jsonl holds its metrics",
    ),
    (
        "use-wandb",
        "nothing is sent anywhere: `verdict watch RUN` shows a run, events.jsonl holds its metrics",
    ),
    (
        "temperature",
        "answers are the most probable ones, without sampling; probabilities are calibrated on validation rows",
    ),
    (
        "max-new-tokens",
        "the most tokens of an answer are --max-tokens 64",
    ),
    (
        "prompt",
        "a question is given in quotes, without a flag: verdict ask --run RUN \"question\"",
    ),
];

/// A usage error with the way to say here what was meant.
pub fn hinted(mut error: Error) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let Some(tip) = tip(found) else { return error };
    error.remove(ContextKind::SuggestedArg);
    error.remove(ContextKind::TrailingArg);
    let tips = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
    error.insert(ContextKind::Suggested, tips);
    error
}

fn tip(found: &str) -> Option<String> {
    if found.parse::<f64>().is_ok() {
        return Some(format!(
            "a list is one word with commas between its values, as in --rank 4,{found}"
        ));
    }
    let name = found.strip_prefix('-')?.trim_start_matches('-');
    let name = name.split('=').next()?.replace('_', "-").to_lowercase();
    let known = FLAGS.iter().find(|(flag, _)| *flag == name);
    known.map(|(_, tip)| (*tip).to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Cli;

    fn told(words: &[&str]) -> String {
        let error = Cli::try_parse_from(words).expect_err("an unknown flag");
        hinted(error).render().to_string()
    }

    #[test]
    fn a_flag_of_another_tool_gets_the_name_it_has_here() {
        for (flag, expected) in [
            ("--lora-r", "tip: the LoRA rank is --rank 16"),
            (
                "--lora_alpha=32",
                "tip: alpha is given as a multiple of the rank: --alpha-ratio 2",
            ),
            (
                "--max_steps",
                "tip: the number of optimizer steps is --steps 93",
            ),
            (
                "--gradient-accumulation-steps",
                "--batch is the effective batch",
            ),
            ("--wandb", "verdict watch RUN"),
        ] {
            let text = told(&["verdict", "train", flag]);
            assert!(text.contains(expected), "{flag}: {text}");
            assert_eq!(text.matches("tip:").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_list_with_blanks_is_told_its_commas() {
        let text = told(&["verdict", "train", "--rank", "4", "8"]);
        assert!(text.contains("--rank 4,8"), "{text}");
    }

    #[test]
    fn no_flag_of_ours_is_called_foreign() {
        let train = Cli::command()
            .find_subcommand("train")
            .expect("a command")
            .clone();
        for argument in train.get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            let known = FLAGS.iter().find(|(flag, _)| *flag == name);
            assert!(known.is_none(), "{known:?}");
        }
    }
}
