"""How far PEFT's own bf16 run lies from the f32 goldens: where the tests' tolerances on GPUs come from.

    OMP_NUM_THREADS=1 python dev/reference/bf16_spread.py [HF_FOLDER_OF_SMOLLM2]     # 10 s; 3 min with the folder

Base in bf16, LoRA in f32, as PEFT holds them. Errors are in rounding units of bf16 (2^-8), the largest difference over
the largest value of each tensor; `gradient_l2` takes norms in place of largest values. Prints one JSON object a line.
"""

import json
import sys

import torch
from common import GOLDENS, completion_loss, logits_of, lora_parameters, train_curve, versions
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

UNIT = 2.0 ** -8


def largest(got, want):
    """Largest difference over the largest wanted value, in units."""
    got, want = torch.as_tensor(got).double(), torch.as_tensor(want).double()
    return ((got - want).abs().max() / want.abs().max()).item() / UNIT


def norm(got, want):
    """Norm of the difference over the wanted norm, in units."""
    got, want = torch.as_tensor(got).double(), torch.as_tensor(want).double()
    return ((got - want).norm() / want.norm()).item() / UNIT


def tell(case, **errors):
    """One line of JSON; each error is the worst of a list."""
    print(json.dumps({"case": case, **{k: round(max(v), 2) for k, v in errors.items()}}), flush=True)


def tiny(family, name):
    """One adapter of one tiny family."""
    folder = GOLDENS / family
    golden, tensors = json.loads((folder / "golden.json").read_text()), load_file(folder / "golden.safetensors")
    sequences = [(s["tokens"], s["loss_from"]) for s in golden["sequences"]]
    supervised = {i: s for i, s in enumerate(sequences) if s[1] is not None}
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.bfloat16, attn_implementation="eager")
    model = PeftModel.from_pretrained(base, folder / f"adapter-{name}", is_trainable=True).eval()
    logits = [largest(logits_of(model, t), tensors[f"{name}/logits/{i}"]) for i, (t, _) in enumerate(sequences)]
    loss, sums = completion_loss(model, list(supervised.values()))
    loss.backward()
    parameters, entry = lora_parameters(model), golden["adapters"][name]
    gradients = {n: (p.grad.clone(), tensors[f"{name}/gradient/{n}"]) for n, p in parameters.items()}
    curve = entry["curve"]
    losses, norms, _ = train_curve(model, [[supervised[i] for i in b] for b in curve["batches"]], curve["peak_lr"],
                                   curve["warmup_steps"], curve["clip"])
    tell(f"{family} {name}", logits=logits, losses=[largest(sums, entry["loss_sums"])],
         gradient=[largest(*g) for g in gradients.values()], gradient_l2=[norm(*g) for g in gradients.values()],
         curve=[largest(losses, curve["losses"])], norms=[largest(norms, curve["gradient_norms"])],
         final=[largest(p.detach(), tensors[f"{name}/final/{n}"]) for n, p in parameters.items()])


def smollm2(folder):
    """The real model: base logits, then the golden adapter."""
    from smollm2 import ALPHA, RANK, set_adapter

    golden = json.loads((GOLDENS / "smollm2.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    top, subset = [], []
    with torch.no_grad():
        for prompt in golden["prompts"]:
            logits = logits_of(base, prompt["tokens"])
            for row in prompt["rows"]:
                here = logits[row["position"]]
                top.append(largest(here[row["top_ids"]], row["top_logits"]))
                subset.append(largest(here[golden["subset_ids"]], row["subset_logits"]))
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear",
                                            task_type="CAUSAL_LM")).eval()
    set_adapter(model)
    items = [(item["tokens"], item["loss_from"]) for item in golden["items"]]
    entry = golden["adapter"]
    with torch.no_grad():
        row = logits_of(model, items[0][0])[entry["item_0_logits"]["position"]]
    adapted = largest(row[golden["subset_ids"]], entry["item_0_logits"]["subset_logits"])
    loss, sums = completion_loss(model, items)
    loss.backward()
    parameters, wanted = lora_parameters(model), entry["gradients"]
    norms_of = [largest([p.grad.double().norm()], [wanted[n][0]]) for n, p in parameters.items()]
    # Single entries on the scale of the tensor, its root mean square.
    entries = [max(abs(got - want) / max(abs(want), wanted[n][0] / p.numel() ** 0.5) / UNIT
                   for got, want in zip(p.grad.flatten()[:8].tolist(), wanted[n][1:])) for n, p in parameters.items()]
    curve = entry["curve"]
    losses, norms, _ = train_curve(model, [[items[i] for i in b] for b in curve["batches"]], curve["peak_lr"],
                                   curve["warmup_steps"])
    tell("smollm2", base_top=top, base_subset=subset, adapted=[adapted], losses=[largest(sums, entry["loss_sums"])],
         gradient_norm=norms_of, gradient_entries=entries, curve=[largest(losses, curve["losses"])],
         norms=[largest(norms, curve["gradient_norms"])])


if __name__ == "__main__":
    print(json.dumps(versions()))
    for family in ("llama", "qwen2", "qwen3"):
        for name in ("r4", "r6"):
            tiny(family, name)
    if len(sys.argv) > 1:
        smollm2(sys.argv[1])
