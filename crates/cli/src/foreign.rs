//! Flags of PEFT, TRL, Unsloth, axolotl and vLLM that have no equal here, and what to do instead. Those that mean the same
//! under another name are accepted: `aliases.rs`.

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of other tools, without their dashes and with dashes for underscores, and what to do here instead.
const FLAGS: &[(&[&str], &str)] = &[
    (
        &["gradient-accumulation-steps"],
        "gradients are accumulated automatically: --batch is the effective batch size, --micro-batch-tokens bounds memory",
    ),
    (
        &["micro-batch-size"],
        "--batch is the effective batch size; --micro-batch-tokens bounds memory",
    ),
    (
        &["per-device-eval-batch-size", "eval-batch-size"],
        "validation needs no batch size; --micro-batch-tokens bounds memory",
    ),
    (
        &["gradient-checkpointing", "use-gradient-checkpointing"],
        "there is nothing to switch on: --micro-batch-tokens bounds the memory of activations",
    ),
    (
        &["target-modules", "lora-target-modules"],
        "adapters are always put on all seven linear modules of a block (q, k, v, o, gate, up, down)",
    ),
    (
        &["warmup-steps"],
        "the warm-up is a share of all steps: --warmup-ratio 0.03",
    ),
    (&["weight-decay"], "AdamW runs without weight decay"),
    (
        &["optim", "optimizer"],
        "the optimizer is AdamW with betas 0.9 and 0.999, without weight decay",
    ),
    (
        &["packing", "sample-packing"],
        "sequences are always packed, without padding and without attention from one to another",
    ),
    (
        &["logging-steps"],
        "every step is written to events.jsonl; `verdict watch RUN --csv FILE` exports all numbers",
    ),
    (
        &["train-on-inputs"],
        "--loss full counts prompt and completion, --loss completion (the default) the completion alone",
    ),
    (
        &["completion-only-loss"],
        "--loss completion is the default",
    ),
    (
        &["adapter-path"],
        "the run folder is --out FOLDER; `verdict ask --run RUN --adapter NAME` uses an adapter",
    ),
    (
        &["dataset", "dataset-name", "dataset-path"],
        "the data set is --data FOLDER, as `verdict build` writes it",
    ),
    (
        &["train-file"],
        "the data set is --data FOLDER; `verdict build --source jsonl:FILE --out FOLDER` makes one",
    ),
    (
        &["resume-from-checkpoint"],
        "--resume RUN resumes an interrupted run",
    ),
    (
        &["load-in-4bit"],
        "--base nf4 stores the base model in 4 bits, on a GPU",
    ),
    (
        &["load-in-8bit"],
        "--base int8, the default, stores the base model in 8 bits",
    ),
    (
        &["bf16"],
        "--compute bf16 computes in bf16; the default does where the machine has it",
    ),
    (
        &["fp16"],
        "matrix products are computed in bf16 or f32: --compute bf16, --compute f32",
    ),
    (
        &["report-to", "wandb", "wandb-project", "use-wandb"],
        "nothing is sent anywhere: `verdict watch RUN` shows a run, --tensorboard and --csv export it",
    ),
    (
        &["temperature", "top-p", "top-k", "do-sample"],
        "answers are decoded greedily, without sampling; probabilities are calibrated on the validation set",
    ),
    (
        &["prompt"],
        "a question is given in quotes, without a flag: verdict ask --run RUN \"question\"",
    ),
    (
        &["gpu-memory-utilization"],
        "--memory-gib 40 limits the memory that is used on each GPU, in GiB",
    ),
    (
        &["tensor-parallel-size"],
        "one model runs on one GPU; `verdict train --device cuda:0,1` spreads the adapters of a grid over several",
    ),
    (
        &["max-model-len"],
        "--max-prompt-tokens limits the prompt, --max-new-tokens the answer",
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

/// What to do instead of this flag; how to write a list where there is a single number.
pub fn tip(found: &str) -> Option<String> {
    if found.parse::<f64>().is_ok() {
        return Some(format!(
            "a list is one word with commas between its values, as in --rank 4,{found}"
        ));
    }
    let name = found.strip_prefix('-')?.trim_start_matches('-');
    let name = name.split('=').next()?.replace('_', "-").to_lowercase();
    let known = FLAGS.iter().find(|(flags, _)| flags.contains(&&*name));
    known.map(|(_, tip)| (*tip).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    fn usage(words: &[&str]) -> String {
        let error = Cli::read(words).expect_err("an unknown flag");
        hinted(error).render().to_string()
    }

    #[test]
    fn a_flag_of_another_tool_gets_a_hint() {
        for (flag, expected) in [
            (
                "--target_modules=all-linear",
                "tip: adapters are always put on",
            ),
            (
                "--gradient-accumulation-steps",
                "tip: gradients are accumulated automatically: --batch",
            ),
            ("--warmup-steps", "--warmup-ratio 0.03"),
            ("--wandb", "verdict watch RUN"),
        ] {
            let text = usage(&["verdict", "train", flag]);
            assert!(text.contains(expected), "{flag}: {text}");
            assert_eq!(text.matches("tip:").count(), 1, "{text}");
        }
    }

    #[test]
    fn a_list_with_blanks_gets_its_commas() {
        let text = usage(&["verdict", "train", "--rank", "4", "8"]);
        assert!(text.contains("--rank 4,8"), "{text}");
    }

    #[test]
    fn no_flag_of_ours_is_called_foreign() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let others = argument.get_all_aliases().unwrap_or_default();
                for name in argument.get_long().into_iter().chain(others) {
                    let known = FLAGS.iter().find(|(flags, _)| flags.contains(&name));
                    assert!(known.is_none(), "{}: {known:?}", command.get_name());
                }
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::definition());
    }
}
