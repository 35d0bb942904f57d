"""Times a LoRA training step of transformers + PEFT on this CPU and prints one JSON object.

    python dev/reference/peers/peft_train.py --model HF_FOLDER --tokens tokens.json --dtype float32   # or bfloat16

tokens.json: {"train": [{"ids": [...], "n_prompt": N}, ...]}; ids are taken modulo the vocabulary, since speed does not
depend on them. The recipe's settings: rank 16, alpha 32, dropout 0.05, all linear layers, AdamW, clip 1.0, batches
padded to their longest. Real tokens per second do not count padding. The base folder: smollm2_base.py.
"""

import argparse
import json
import os
import random
import resource
import statistics
import sys
import time
from pathlib import Path


def arguments():
    """Parsed arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.json")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of the base")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--accumulate", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6, help="timed steps")
    parser.add_argument("--warm", type=int, default=1, help="steps before the clock")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--loss", choices=["all", "completion"], default="all", help="which rows are supervised")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for path in (args.model, args.tokens):
        if not path.exists():
            sys.exit(f"peft_train.py: {path}: not found")
    return args


def batches(examples, size, completion_only, vocab):
    """Endless right-padded batches in an order shuffled anew each epoch: (ids, mask, labels, real tokens)."""
    import torch

    drawn = random.Random(42)
    while True:
        order = list(range(len(examples)))
        drawn.shuffle(order)
        for start in range(0, len(order) - size + 1, size):
            chosen = [examples[i] for i in order[start:start + size]]
            width = max(len(e["ids"]) for e in chosen)
            ids, mask = torch.zeros((size, width), dtype=torch.long), torch.zeros((size, width), dtype=torch.long)
            labels = torch.full((size, width), -100)
            for row, example in enumerate(chosen):
                tokens = torch.tensor(example["ids"]) % vocab
                first = example["n_prompt"] if completion_only else 0
                ids[row, :len(tokens)], mask[row, :len(tokens)] = tokens, 1
                labels[row, first:len(tokens)] = tokens[first:]
            yield ids, mask, labels, sum(len(e["ids"]) for e in chosen)


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"] = str(args.threads), "1"
    import peft
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    base = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype))
    model = peft.get_peft_model(base, peft.LoraConfig(
        r=args.rank, lora_alpha=2 * args.rank, lora_dropout=args.dropout, target_modules="all-linear",
        task_type="CAUSAL_LM")).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-4, weight_decay=0.0)
    examples = json.loads(args.tokens.read_text())["train"]
    source = batches(examples, args.batch, args.loss == "completion", base.config.vocab_size)

    times, real, losses = [], [], []
    for _ in range(args.warm + args.steps):
        start, tokens, loss_sum = time.perf_counter(), 0, 0.0
        for _ in range(args.accumulate):
            ids, mask, labels, count = next(source)
            loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss / args.accumulate
            loss.backward()
            tokens += count
            loss_sum += loss.item()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - start)
        real.append(tokens)
        losses.append(loss_sum)
    times, real = times[args.warm:], real[args.warm:]
    rates = [n / s for n, s in zip(real, times)]
    print(json.dumps({
        "case": "peft_train", "dtype": args.dtype, "batch": args.batch, "accumulate": args.accumulate,
        "rank": args.rank, "dropout": args.dropout, "loss_rows": args.loss, "threads": args.threads,
        "steps": args.steps, "s_per_step_median": round(statistics.median(times), 3),
        "real_tok_s": round(sum(real) / sum(times), 1), "real_tok_s_min": round(min(rates), 1),
        "real_tok_s_max": round(max(rates), 1), "real_tok_per_step": round(sum(real) / len(real), 1),
        "loss_first": round(losses[0], 3), "loss_last": round(losses[-1], 3),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}))


if __name__ == "__main__":
    main()
