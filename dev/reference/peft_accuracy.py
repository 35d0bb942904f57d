"""Label accuracy that transformers + PEFT reach on a Verdict data folder with the default recipe, on the CPU.

    python dev/reference/peft_accuracy.py --data DATA --model HF_FOLDER [--dtype bfloat16] [--rank 16] [--out ADAPTER]

The same examples in the same order as `verdict train` with the same seed (the batch order of
crates/train/src/batches.rs is repeated here), the same prompt, loss, schedule and label rule; A's starting values and
dropout's draws differ. Prints one JSON object: base and tuned, on validation and test. Progress goes to stderr.
The recipe's 93 steps on 264 rows take about 15 minutes on 2 cores.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

LABELS = ("Yes", "No", "Uncertain")
MASK = (1 << 64) - 1


def arguments():
    """Parsed arguments; defaults are the recipe's."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train, validation and test.jsonl")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder (see smollm2_base.py)")
    parser.add_argument("--out", type=Path, help="where to save the adapter")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32",
                        help="of the base; the adapter is float32")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--alpha", type=float, help="default: 2 x rank")
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--warmup", type=float, default=0.03, help="share of the steps")
    parser.add_argument("--epochs", type=float, default=5.5)
    parser.add_argument("--steps", type=int, help="instead of epochs")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro", type=int, default=4, help="sequences in one padded pass; changes no result")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for path in [args.model] + [args.data / f"{split}.jsonl" for split in ("train", "validation", "test")]:
        if not path.exists():
            sys.exit(f"peft_accuracy.py: {path}: not found")
    return args


def finish(z):
    """SplitMix64's output function."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def shuffled(seed, epoch, rows):
    """Order of the rows in one epoch, as crates/train/src/batches.rs draws it."""
    state = finish(finish(seed ^ 0xBA7C4E5F0D3A9B21) + 0x9E3779B97F4A7C15 & MASK) + epoch & MASK
    order = list(range(rows))
    for last in range(rows - 1, 0, -1):
        bound, number = last + 1, MASK
        while number >= MASK - MASK % bound:
            state = state + 0x9E3779B97F4A7C15 & MASK
            number = finish(state)
        order[last], order[number % bound] = order[number % bound], order[last]
    return order


def one_line(text):
    """Every run of white space as one blank."""
    return " ".join(text.split())


def encode_prompt(tokenizer, item, limit):
    """Tokens of `Context: …\\nQ: …\\nA:`; a context that is too long loses its last words."""
    words = one_line(item.get("context") or "").split(" ")
    while True:
        context = " ".join(words)
        text = (f"Context: {context}\n" if context else "") + f"Q: {one_line(item['question'])}\nA:"
        tokens = tokenizer(text)["input_ids"]
        if len(tokens) <= limit:
            return tokens
        if not context:
            sys.exit(f"peft_accuracy.py: item {item['id']}: the question takes {len(tokens)} tokens, limit {limit}")
        words.pop()


def encode(tokenizer, items, max_length, end):
    """(tokens, loss_from, label index) of each item."""
    rows = []
    for item in items:
        text = f" {item['label']}. Rationale: {one_line(item['rationale'])}"
        completion = tokenizer(text, add_special_tokens=False)["input_ids"] + [end]
        prompt = encode_prompt(tokenizer, item, max_length - len(completion))
        rows.append((prompt + completion, len(prompt), LABELS.index(item["label"])))
    return rows


def interval(right, n):
    """Wilson's 95 % interval of a share."""
    z, p = 1.959963984540054, right / n
    centre, width = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((centre + s * width) / (1 + z * z / n), 4) for s in (-1, 1)]


def scores(model, rows, probes):
    """Loss per supervised token and label figures; the label is the best of the three first tokens."""
    import torch

    table = [[0] * 3 for _ in LABELS]  # [truth][chosen]
    loss_sum, tokens = 0.0, 0
    model.eval()
    with torch.inference_mode():
        for row, start, truth in rows:
            logits = model(input_ids=torch.tensor([row])).logits[0, start - 1:-1].float()
            loss_sum += torch.nn.functional.cross_entropy(logits, torch.tensor(row[start:]), reduction="sum").item()
            tokens += len(row) - start
            table[truth][logits[0, probes].argmax().item()] += 1
    n, right = len(rows), sum(table[i][i] for i in range(3))
    f1 = [2 * table[i][i] / max(1, sum(table[i]) + sum(table[j][i] for j in range(3))) for i in range(3)]
    return {"n": n, "loss": round(loss_sum / tokens, 5), "accuracy": round(right / n, 4),
            "accuracy_95": interval(right, n), "macro_f1": round(sum(f1) / 3, 4), "confusion_truth_chosen": table,
            "majority": round(max(sum(t) for t in table) / n, 4)}


def step_loss(model, rows, micro, pad):
    """Forward and backward of one effective batch; the mean is over all its supervised tokens."""
    import torch

    supervised, total = sum(len(row) - start for row, start, _ in rows), 0.0
    for first in range(0, len(rows), micro):
        part = rows[first:first + micro]
        width = max(len(row) for row, _, _ in part)
        ids, mask = torch.full((len(part), width), pad), torch.zeros((len(part), width), dtype=torch.long)
        labels = torch.full((len(part), width), -100)
        for i, (row, start, _) in enumerate(part):
            ids[i, :len(row)], mask[i, :len(row)] = torch.tensor(row), 1
            labels[i, start:len(row)] = torch.tensor(row[start:])
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100,
                                                 reduction="sum") / supervised
        loss.backward()
        total += loss.item()
    return total


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"] = str(args.threads), "1"
    import torch
    from common import versions
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    base = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype))
    end = base.config.eos_token_id
    end = end[0] if isinstance(end, list) else end
    data = {split: encode(tokenizer, [json.loads(line) for line in
                                      (args.data / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()],
                          args.max_length, end) for split in ("train", "validation", "test")}
    probes = [tokenizer(f" {label}.", add_special_tokens=False)["input_ids"][0] for label in LABELS]
    result = {"case": "peft_accuracy", "data": str(args.data), "dtype": args.dtype, "rank": args.rank,
              "seed": args.seed, "dropout": args.dropout, "lr": args.lr, "versions": versions(),
              "base": {split: scores(base, data[split], probes) for split in ("validation", "test")}}

    alpha = 2 * args.rank if args.alpha is None else args.alpha
    model = get_peft_model(base, LoraConfig(r=args.rank, lora_alpha=alpha, lora_dropout=args.dropout,
                                            target_modules="all-linear", task_type="CAUSAL_LM"))
    parameters = [p for p in model.parameters() if p.requires_grad]
    per_epoch = math.ceil(len(data["train"]) / args.batch)
    steps = args.steps or max(1, math.floor(args.epochs * per_epoch))
    optimizer = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, math.ceil(steps * args.warmup), steps)
    losses, start, order = [], time.perf_counter(), []
    model.train()
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        if place == 0:
            order = shuffled(args.seed, epoch, len(data["train"]))
        chosen = [data["train"][i] for i in order[place * args.batch:(place + 1) * args.batch]]
        losses.append(step_loss(model, chosen, args.micro, end))
        torch.nn.utils.clip_grad_norm_(parameters, args.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        print(f"step {step + 1}/{steps} loss {losses[-1]:.4f} {time.perf_counter() - start:.0f} s", file=sys.stderr)
    result |= {"steps": steps, "train_s": round(time.perf_counter() - start, 1),
               "train_losses": [round(v, 5) for v in losses],
               "tuned": {split: scores(model, data[split], probes) for split in ("validation", "test")}}
    if args.out:
        model.save_pretrained(args.out)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
