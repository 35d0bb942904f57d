"""Goldens at Qwen3-1.7B's shape, from PEFT on a GPU: losses, logits, every LoRA gradient, a training curve.

    python3 dev/reference/gpu_golden.py OUT --tokens tokens.json               # all of it; minutes on one GPU
    python3 dev/reference/gpu_golden.py OUT --tokens tokens.json --gradients   # the model and the gradients alone
    python3 dev/reference/gpu_golden.py OUT --tokens tokens.json --curve       # the curve alone
    python3 dev/reference/gpu_golden.py OUT --tokens tokens.json --tiny        # a small model, to try the script itself

Random weights (seeded; matrices of standard deviation 0.02, bf16 on disk, 3.4 GB) are made once and kept: what is
compared is arithmetic. `crates/model/tests/qwen3_1_7b.rs` reads OUT. tokens.json: {"train": [{"ids": [...]}, ...]}.

OUT/model/, OUT/adapter/   Hugging Face folder; PEFT folder: rank 16, alpha 32, all linear layers, dropout 0, B not zero
OUT/golden.json            rows[]: token lists; sequences: rows of the gradients; loss on every token but the first
OUT/golden_f32.safetensors, golden_bf16.safetensors
                           losses [S], sums in nats; logits/<i> [V] after the last token; gradient/<name> of the mean loss
                           per supervised token. f32: all in float32, TF32 off. bf16: base in bf16, LoRA in float32, no
                           autocast: what PEFT does with a bf16 base.
OUT/curve.json             batches[]: rows of each step; lr, clip; losses and norms before the step, for f32, autocast
                           (f32 base under bf16 autocast) and bf16
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
from common import lora_parameters, versions
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

SEED = 20261122
RANK, ALPHA, B_DEVIATION = 16, 32, 0.02
SEQUENCES, BATCH, STEPS, LR, CLIP = 16, 16, 93, 3e-4, 1.0
SHAPE = dict(hidden_size=2048, intermediate_size=6144, num_hidden_layers=28, num_attention_heads=16,
             num_key_value_heads=8, head_dim=128)
TINY = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=24)


def arguments():
    """Parsed arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.json")
    parser.add_argument("--gradients", action="store_true", help="only the gradients")
    parser.add_argument("--curve", action="store_true", help="only the curve")
    parser.add_argument("--steps", type=int, default=STEPS, help="of the curve")
    parser.add_argument("--tiny", action="store_true", help="a small model")
    args = parser.parse_args()
    if not args.tokens.exists():
        sys.exit(f"gpu_golden.py: {args.tokens}: not found")
    return args


def make_model(out, shape, device):
    """OUT/model and OUT/adapter, unless they are there."""
    if (out / "adapter" / "adapter_config.json").exists():
        return
    torch.manual_seed(SEED)
    config = Qwen3Config(**shape, vocab_size=151936, max_position_embeddings=32768, rms_norm_eps=1e-6, rope_theta=1e6,
                         tie_word_embeddings=True, bos_token_id=151643, eos_token_id=151645, initializer_range=0.02)
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen3ForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(out / "model", max_shard_size="50GB")
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear",
                                             task_type="CAUSAL_LM"))
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, p in lora_parameters(model).items():
            # Drawn on the CPU, so that any machine draws the same.
            if "lora_A" in name:
                values = (2 * torch.rand(p.shape, generator=generator) - 1) / p.shape[1] ** 0.5
            else:
                values = B_DEVIATION * torch.randn(p.shape, generator=generator)
            p.copy_(values)
    model.save_pretrained(out / "adapter")


def load(out, dtype, device):
    """The base in `dtype`, the LoRA in float32; without dropout, ready for gradients."""
    base = Qwen3ForCausalLM.from_pretrained(out / "model", dtype=dtype).to(device)
    model = PeftModel.from_pretrained(base, out / "adapter", is_trainable=True).to(device).eval()
    for name, p in lora_parameters(model).items():
        assert p.requires_grad and p.dtype == torch.float32, (name, p.dtype)
    return model


def gradients(out, rows, dtype, device):
    """The safetensors file of one number format; sequences run one by one, unpadded."""
    model = load(out, dtype, device)
    count = sum(len(row) - 1 for row in rows)
    tensors, losses = {}, []
    for place, row in enumerate(rows):
        ids = torch.tensor([row], device=device)
        logits = model(input_ids=ids).logits[0].float()
        loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="sum")
        (loss / count).backward()
        losses.append(loss.item())
        tensors[f"logits/{place}"] = logits[-1].detach().cpu().contiguous()
    tensors["losses"] = torch.tensor(losses)
    for name, p in lora_parameters(model).items():
        tensors[f"gradient/{name}"] = p.grad.float().cpu().contiguous()
    name = "f32" if dtype == torch.float32 else "bf16"
    save_file(tensors, out / f"golden_{name}.safetensors")
    print(json.dumps({"case": name, "loss": sum(losses) / count}), flush=True)


def padded(rows, device):
    """Ids, mask and labels of a right-padded batch; -100 where there is no label."""
    width = max(len(row) for row in rows)
    ids, mask = torch.zeros((len(rows), width), dtype=torch.long), torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for place, row in enumerate(rows):
        ids[place, :len(row)], mask[place, :len(row)] = torch.tensor(row), 1
        labels[place, 1:len(row)] = torch.tensor(row[1:])
    return ids.to(device), mask.to(device), labels.to(device)


def train(out, rows, batches, mode, device):
    """Losses and gradient norms of each step, before it; the rate is constant, AdamW without decay."""
    model = load(out, torch.bfloat16 if mode == "bf16" else torch.float32, device)
    parameters = list(lora_parameters(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=LR, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    losses, norms, started = [], [], time.time()
    for batch in batches:
        ids, mask, labels = padded([rows[i] for i in batch], device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=mode == "autocast"):
            logits = model(input_ids=ids, attention_mask=mask).logits
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), labels[:, 1:].flatten(),
                                                 ignore_index=-100)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, CLIP).item())
        losses.append(loss.item())
        optimizer.step()
    print(json.dumps({"case": f"curve {mode}", "first": losses[0], "last": losses[-1],
                      "seconds": round(time.time() - started, 1)}), flush=True)
    return {"losses": losses, "norms": norms}


def order(rows, steps):
    """Rows of each step: shuffled anew each epoch, the last batch of an epoch smaller."""
    drawn, batches = random.Random(SEED), []
    while len(batches) < steps:
        shuffled = list(range(rows))
        drawn.shuffle(shuffled)
        batches += [shuffled[start:start + BATCH] for start in range(0, rows, BATCH)]
    return batches[:steps]


def main():
    args = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    args.out.mkdir(parents=True, exist_ok=True)
    make_model(args.out, TINY if args.tiny else SHAPE, device)
    rows = [row["ids"] for row in json.loads(args.tokens.read_text())["train"]]
    golden = {"seed": SEED, "versions": versions(), "rows": rows, "sequences": list(range(SEQUENCES)),
              "device": torch.cuda.get_device_name() if device == "cuda" else "cpu"}
    (args.out / "golden.json").write_text(json.dumps(golden))
    both = not (args.gradients or args.curve)
    if args.gradients or both:
        for dtype in (torch.float32, torch.bfloat16):
            gradients(args.out, rows[:SEQUENCES], dtype, device)
    if args.curve or both:
        batches = order(len(rows), args.steps)
        curves = {mode: train(args.out, rows, batches, mode, device) for mode in ("f32", "autocast", "bf16")}
        curve = {"batches": batches, "lr": LR, "clip": CLIP, **curves}
        (args.out / "curve.json").write_text(json.dumps(curve))


if __name__ == "__main__":
    main()
