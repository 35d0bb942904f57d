"""Writes schedule.json: transformers' learning-rate shares, step by step.

Run: python crates/train/tests/goldens/schedule.py   (versions: dev/reference/requirements.txt)
"""

import json
import math
import pathlib

import torch
import transformers

CASES = [("linear", 0.03, 93), ("cosine", 0.03, 93), ("constant", 0.03, 93),
         ("linear", 0.1, 25), ("cosine", 0.25, 10), ("linear", 0.0, 7), ("linear", 0.03, 1)]
SHAPES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def shares(shape, warmup, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    arguments = transformers.TrainingArguments(output_dir="unused", warmup_steps=warmup, use_cpu=True)
    warmup_steps = arguments.get_warmup_steps(steps) if warmup else 0
    assert warmup_steps == math.ceil(warmup * steps)
    scheduler = transformers.get_scheduler(SHAPES[shape], optimizer, warmup_steps, steps)
    found = []
    for _ in range(steps):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return {"schedule": shape, "warmup": warmup, "warmup_steps": warmup_steps, "shares": found}


golden = {"transformers": transformers.__version__, "torch": torch.__version__,
          "cases": [shares(*case) for case in CASES]}
path = pathlib.Path(__file__).with_name("schedule.json")
path.write_text(json.dumps(golden, indent=None) + "\n")
