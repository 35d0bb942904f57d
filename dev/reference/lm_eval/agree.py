"""Scores the same questions with lm-evaluation-harness and with Verdict, and compares labels and speed.

    pip install lm_eval==0.4.13 torch transformers peft gguf
    python dev/reference/lm_eval/agree.py --verdict target/release/verdict --run run --adapter r16 \
        --questions ori_pqal.json --gguf SmolLM2-135M-Instruct.Q4_1.gguf [--context] [--dtype float32] [--rounds 3]

The harness loads the GGUF file's weights through transformers, lays the run's PEFT folder over them, and compares the
log-likelihood of " Yes", " No" and " Uncertain" after Verdict's prompt (verdict.yaml). Verdict judges the same rows as
`--benchmark jsonl:FILE`. What is timed is the asking alone, without loading: the harness's log-likelihood requests,
and what Verdict's report says of its own (base and adapter, so two answers a question).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OFFICIAL = HERE.parents[2] / "crates" / "data" / "src" / "pubmedqa_test.txt"
LABELS = {"yes": "Yes", "no": "No", "maybe": "Uncertain"}
ORDER = ["Yes", "No", "Uncertain"]


def rows(path, context):
    """PubMedQA's official test as JSON lines that both read."""
    published = json.loads(Path(path).read_text(encoding="utf-8"))
    wanted = [line for line in OFFICIAL.read_text().splitlines() if not line.startswith("#")]
    for pmid in wanted:
        row = published[pmid]
        yield {"id": pmid, "question": row["QUESTION"], "label": LABELS[row["final_decision"]],
               "rationale": row["LONG_ANSWER"], "context": " ".join(row["CONTEXTS"]) if context else ""}


def harness(arguments, folder):
    """Labels by id, and the seconds of its requests."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    class Timed(HFLM):
        """Notes how long the log-likelihoods take."""

        seconds = 0.0

        def loglikelihood(self, requests, disable_tqdm=False):
            started = time.perf_counter()
            found = super().loglikelihood(requests, disable_tqdm=True)
            Timed.seconds = time.perf_counter() - started
            return found

    gguf = Path(arguments.gguf).resolve()
    model = Timed(pretrained=str(gguf.parent), gguf_file=gguf.name, dtype=arguments.dtype,
                  peft=str(Path(arguments.run) / "adapters" / arguments.adapter),
                  batch_size=arguments.batch, device=arguments.device)
    config = (HERE / "verdict.yaml").read_text().replace("QUESTIONS", str(folder / "questions.jsonl"))
    (folder / "verdict.yaml").write_text(config)
    seconds, labels = [], {}
    for _ in range(arguments.rounds):
        found = lm_eval.simple_evaluate(model=model, tasks=["verdict"], log_samples=True, bootstrap_iters=0,
                                        task_manager=TaskManager(include_path=str(folder), include_defaults=False))
        seconds.append(Timed.seconds)
        for sample in found["samples"]["verdict"]:
            scores = [response[0][0] for response in sample["resps"]]
            labels[sample["doc"]["id"]] = ORDER[scores.index(max(scores))]
    return labels, seconds


def verdict(arguments, folder):
    """Labels by id, and the seconds of each answer's asking (base and adapter, so two a question)."""
    labels, seconds = {}, []
    command = [arguments.verdict, "eval", arguments.run, "--adapter", arguments.adapter, "--benchmark",
               f"jsonl:{folder / 'questions.jsonl'}", "--full-answers", "0", "--bootstrap-samples", "100", "--out", str(folder),
               "--device", "cpu" if arguments.device == "cpu" else "cuda:0", "--base", arguments.base, "--quiet"]
    for _ in range(arguments.rounds):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        methods = json.loads((folder / "report.json").read_text())["methods"]
        seconds.append(methods["seconds"] / methods["answers"])
    for line in (folder / "predictions.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["system"] == arguments.adapter:
            labels[row["id"].split(":")[-1]] = row["label"]
    return labels, seconds


def main():
    """Runs both and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag, default in [("verdict", "target/release/verdict"), ("run", None), ("adapter", None), ("questions", None),
                          ("gguf", None), ("dtype", "float32"), ("base", "f32"), ("device", "cpu")]:
        parser.add_argument(f"--{flag}", default=default, required=default is None)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--context", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        lines = [json.dumps(row) for row in rows(arguments.questions, arguments.context)]
        (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
        theirs, their_seconds = harness(arguments, folder)
        ours, our_seconds = verdict(arguments, folder)
    truth = {row["id"]: row["label"] for row in map(json.loads, lines)}
    assert theirs.keys() == ours.keys() == truth.keys()
    same = sum(theirs[name] == ours[name] for name in truth)
    n = len(truth)
    print(f"labels the same: {same} of {n}")
    for name, labels, each in [("lm-evaluation-harness", theirs, [second / n for second in their_seconds]),
                               ("verdict", ours, our_seconds)]:
        right = sum(labels[key] == truth[key] for key in truth)
        rate = sorted(1 / second for second in each)
        print(f"{name}: accuracy {100 * right / n:.1f} %, {statistics.median(rate):.1f} questions/s "
              f"[{rate[0]:.1f}-{rate[-1]:.1f}]")
    # bf16 rounds near ties either way; in f32 what is left is that Verdict reads the first token of "Uncertain" alone.
    return 0 if same >= (0.98 if arguments.dtype == "float32" else 0.95) * n else 1


if __name__ == "__main__":
    sys.exit(main())
