"""What the reference scripts share: versions, token batches, the completion loss, PEFT names, exact JSON numbers."""

import json
import os
import platform
import re
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates" / "model" / "tests" / "goldens"
PEFT_PREFIX = "base_model.model."
SITES = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
         "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


def versions():
    """Versions of what made a golden file."""
    import peft
    import tokenizers
    import transformers

    return {"python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__, "peft": peft.__version__,
            "tokenizers": tokenizers.__version__}


def number(value):
    """A float32 as the shortest decimal that reads back as the same float32."""
    return float(str(np.float32(value.item() if torch.is_tensor(value) else value)))


def numbers(values):
    """A tensor or list as shortest float32 decimals."""
    return [number(v) for v in torch.as_tensor(values).detach().flatten().tolist()]


def write_json(path, value):
    """Writes JSON with each list that holds no list or object on one line, so that diffs stay readable."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\n([^\[\]{}]*?)\n *\]",
                  lambda found: "[" + " ".join(line.strip() for line in found[1].split("\n")) + "]"
                  if found[1].count('"') == 0 else found[0], text)
    Path(path).write_text(text + "\n", encoding="utf-8")


def logits_of(model, tokens):
    """Logits [T, V] of one sequence, alone and unpadded."""
    return model(input_ids=torch.tensor([tokens])).logits[0]


def completion_loss(model, sequences):
    """Mean negative log-likelihood, in nats, over every supervised token of the batch.

    A sequence is (tokens, loss_from): tokens[loss_from:] are supervised, each predicted from the row before it.
    Sequences run one by one, so that no padding is involved. Returns the loss and each sequence's sum.
    """
    sums, count = [], 0
    for tokens, loss_from in sequences:
        rows = logits_of(model, tokens)[loss_from - 1:-1].float()
        target = torch.tensor(tokens[loss_from:])
        sums.append(torch.nn.functional.cross_entropy(rows, target, reduction="sum"))
        count += len(target)
    return torch.stack(sums).sum() / count, [s.item() for s in sums]


def padded_loss(model, sequences, pad):
    """The same loss from one right-padded batch with an attention mask, as a trainer would run it."""
    width = max(len(t) for t, _ in sequences)
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for i, (tokens, loss_from) in enumerate(sequences):
        ids[i, :len(tokens)] = torch.tensor(tokens)
        mask[i, :len(tokens)] = 1
        labels[i, loss_from:len(tokens)] = torch.tensor(tokens[loss_from:])
    return model(input_ids=ids, attention_mask=mask, labels=labels).loss


def lora_parameters(model):
    """LoRA parameters by Verdict's name (PEFT's prefix and the adapter's name taken off)."""
    return {name.removeprefix(PEFT_PREFIX).replace(".default.", "."): p
            for name, p in model.named_parameters() if "lora_" in name}


def gradient_norm(parameters):
    """L2 norm over all gradients together."""
    return torch.sqrt(sum((p.grad.double() ** 2).sum() for p in parameters)).item()


def train_curve(model, batches, peak_lr, warmup, clip=1.0):
    """One optimizer step per batch: AdamW as PyTorch's, linear schedule with warm-up as Hugging Face's, clip.

    Returns losses (before the step), gradient norms (before the clip) and the learning rates used.
    """
    from transformers import get_linear_schedule_with_warmup

    parameters = list(lora_parameters(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=peak_lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, len(batches))
    losses, norms, rates = [], [], []
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        loss, _ = completion_loss(model, batch)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, clip).item())
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(loss.item())
        optimizer.step()
        schedule.step()
    return losses, norms, rates
