"""Does PEFT load an adapter folder that Verdict wrote, as it is, and give the same logits?

    python dev/reference/check_peft.py --adapter RUN/adapters/NAME --model FOLDER_OR_GGUF --logits LOGITS.json

LOGITS.json: {"sequences": [{"tokens": [ids], "logits": [V numbers] or [[V numbers] per token]}]}; a flat list is the
row after the last token. Prints one JSON object. Exit status: 0 the same, 1 not, 2 wrong usage or input.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch
from common import logits_of, versions
from safetensors.torch import load_file


def fail(message):
    """One line to stderr, exit status 2."""
    print(f"check_peft: {message}", file=sys.stderr)
    sys.exit(2)


def arguments():
    """Parsed arguments; the files must exist."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--adapter", type=Path, required=True, help="folder written by Verdict")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder or .gguf file of the base")
    parser.add_argument("--logits", type=Path, required=True, help="JSON of token ids and Verdict's logits")
    parser.add_argument("--tolerance", type=float, default=1e-4,
                        help="largest allowed |difference| / largest |logit| of the row (default 1e-4, for f32)")
    args = parser.parse_args()
    for path in (args.adapter / "adapter_config.json", args.adapter / "adapter_model.safetensors", args.model,
                 args.logits):
        if not path.exists():
            fail(f"{path}: not found")
    return args


def load_base(path):
    """The base in float32 from a Hugging Face folder or a GGUF file."""
    from transformers import AutoModelForCausalLM

    if path.suffix == ".gguf":
        return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def load_adapter(base, folder):
    """The PEFT model, and every fault in how the folder became it: warnings, tensors left out, tensors changed."""
    from peft import PeftModel, get_peft_model_state_dict

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, folder).eval()
    faults = [str(w.message) for w in caught if not issubclass(w.category, (DeprecationWarning, FutureWarning))]
    stored, loaded = load_file(folder / "adapter_model.safetensors"), get_peft_model_state_dict(model)
    faults += [f"{name}: in the file, not in the model" for name in sorted(stored.keys() - loaded.keys())]
    faults += [f"{name}: in the model, not in the file" for name in sorted(loaded.keys() - stored.keys())]
    faults += [f"{name}: not the file's values" for name in sorted(stored.keys() & loaded.keys())
               if not torch.equal(stored[name].float(), loaded[name].float())]
    return model, faults


def compare(model, sequences):
    """Largest absolute and relative difference over all rows, rows whose best token differs, and what the adapter does."""
    absolute = relative = effect = 0.0
    rows = other_best = 0
    for number, sequence in enumerate(sequences):
        ours = torch.tensor(sequence["logits"], dtype=torch.float32)
        theirs = logits_of(model, sequence["tokens"]).float()
        with model.disable_adapter():
            plain = logits_of(model, sequence["tokens"]).float()
        if ours.dim() == 1:
            ours, theirs, plain = ours[None], theirs[-1:], plain[-1:]
        if ours.shape != theirs.shape:
            fail(f"sequence {number}: logits of shape {list(ours.shape)}, expected {list(theirs.shape)}")
        if not torch.isfinite(ours).all():
            fail(f"sequence {number}: a logit is not finite")
        difference = (ours - theirs).abs()
        absolute = max(absolute, difference.max().item())
        relative = max(relative, (difference.max(1).values / theirs.abs().max(1).values).max().item())
        effect = max(effect, (plain - theirs).abs().max().item())
        rows += len(ours)
        other_best += (ours.argmax(1) != theirs.argmax(1)).sum().item()
    return {"sequences": len(sequences), "rows": rows, "max_abs": absolute, "max_rel": relative,
            "other_best_token_rows": other_best, "adapter_effect": effect}


def main():
    args = arguments()
    sequences = json.loads(args.logits.read_text())["sequences"]
    if not sequences:
        fail(f"{args.logits}: no sequences")
    result = {"case": "check_peft", "adapter": str(args.adapter), "model": str(args.model),
              "tolerance": args.tolerance, "versions": versions()}
    try:
        model, result["load_faults"] = load_adapter(load_base(args.model), args.adapter)
    except Exception as error:  # whatever PEFT says is the answer to the question
        print(json.dumps({**result, "same": False, "load_error": f"{type(error).__name__}: {error}"}))
        return 1
    with torch.no_grad():
        result |= compare(model, sequences)
    result["same"] = not result["load_faults"] and result["max_rel"] <= args.tolerance
    print(json.dumps(result))
    return 0 if result["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
