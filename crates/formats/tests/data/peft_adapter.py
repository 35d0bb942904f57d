"""The golden for adapters, both ways round.

    python peft_adapter.py write            writes peft_adapter/ (this folder's fixture) with PEFT
    python peft_adapter.py load FOLDER      loads a folder that Verdict wrote, prints its tensors

The model is a one-layer Llama of width 8, so the fixture stays small.
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            vocab_size=16,
        )
    )


def write() -> None:
    config = LoraConfig(
        r=2,
        lora_alpha=4,
        lora_dropout=0.05,
        target_modules=["q_proj", "down_proj"],
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(tiny(), config)
    for i, (name, p) in enumerate(sorted(model.named_parameters())):
        if "lora_" in name:
            # Numbers a reader can check: 1/8 steps, exact in every float format.
            p.data = (torch.arange(p.numel()).reshape(p.shape) - i) / 8
    target = Path(__file__).parent / "peft_adapter"
    model.save_pretrained(target)
    (target / "README.md").unlink()


def load(folder: str) -> None:
    model = PeftModel.from_pretrained(tiny(), folder)
    print(model.active_peft_config.to_dict())
    for name, p in sorted(model.named_parameters()):
        if "lora_" in name:
            print(name, tuple(p.shape), p.flatten()[:3].tolist())


if __name__ == "__main__":
    write() if sys.argv[1] == "write" else load(sys.argv[2])
