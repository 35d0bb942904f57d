"""Writes smollm2.json: token ids as transformers and llama.cpp give them, and rows of weights.

    python smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf

Both read the vocabulary from the GGUF file itself. Where they disagree, the script stops: a golden
that only one of them vouches for is none. transformers' GGUF conversion forgets the pre-tokenizer
of SmolLM2's own tokenizer.json (digits one by one, then byte level), which shows in " ½" alone; it
is put back here. The rows are transformers' (it undoes llama.cpp's order of Q and K rows).
"""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from llama_cpp import Llama
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = [
    "",
    " ",
    "Yes",
    " Yes. Rationale: The interval excludes 1.",
    "Q: Does vitamin D supplementation prevent acute respiratory infections?\nA:",
    "Context: RR 0.85 (95% CI 0.60–1.05; p=0.11), n = 1,024.\nQ: Is the effect significant?\nA:",
    "12345 3.14159 1e-5 2024-11-22 ½ ² Ⅳ ٣ 10mg/kg",
    "  two spaces   three\ttab\n\n\nnewlines \n mixed \r\n windows\r",
    "trailing spaces   ",
    "\n",
    "\n\n  \n",
    "don't we'll I'm they've he'd it's CAN'T WE'LL 'tis ''quotes''",
    "TNF-α, IL-1β, β-blockers, µg, ≥65 years, ±2 SD, naïve, Sjögren's, Guillain–Barré",
    "COVID-19/SARS-CoV-2 (B.1.1.7) [12] {x: 1} <tag/> a_b c->d e::f 100%",
    "日本語のテキスト 中文 한국어 العربية עברית ไทย हिन्दी",
    "emoji 🙂👩‍⚕️🏥 flags 🇬🇧 e\u0301 combining \u00a0nbsp \u200bzero\u2028line",
    "<|endoftext|>",
    "before<|im_end|>after <|im_start|>user\nhi<|im_end|>\n",
    "<|not_special|> <|im_start <repo_name>x<file_sep>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "Pneumonoultramicroscopicsilicovolcanoconiosis hydroxychloroquine immunoglobulin",
    "def f(x):\n    return x ** 2  # squared\n\n\tif True:\n\t\tpass",
    "https://doi.org/10.1056/NEJMoa2034577?x=1&y=2",
    "A.B.C... wait?! -- no; yes: (maybe) \"quoted\" `code` ~tilde~ ^caret",
    "\u0000\u0001\u007f control",
    "Mixed123Digits456And７８９Fullwidth",
]

LAYER = "model.layers.{}.{}.weight"
ROWS = [
    ("model.embed_tokens.weight", 0),
    ("model.embed_tokens.weight", 49151),
    (LAYER.format(0, "self_attn.q_proj"), 1),
    (LAYER.format(0, "self_attn.q_proj"), 63),
    (LAYER.format(17, "self_attn.q_proj"), 300),
    (LAYER.format(29, "self_attn.k_proj"), 33),
    (LAYER.format(29, "self_attn.k_proj"), 190),
    (LAYER.format(5, "self_attn.v_proj"), 2),
    (LAYER.format(5, "self_attn.o_proj"), 570),
    (LAYER.format(12, "mlp.gate_proj"), 1535),
    (LAYER.format(12, "mlp.up_proj"), 7),
    (LAYER.format(12, "mlp.down_proj"), 575),
]


def main() -> None:
    path = Path(sys.argv[1])
    hf = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    digits = Digits(individual_digits=True)
    hf.backend_tokenizer.pre_tokenizer = Sequence([digits, ByteLevel(add_prefix_space=False)])
    cpp = Llama(str(path), vocab_only=True, verbose=False)
    cases, apart = [], []
    for text in TEXTS:
        ids = hf(text, add_special_tokens=False).input_ids
        other = cpp.tokenize(text.encode(), add_bos=False, special=True)
        (cases if ids == other else apart).append({"text": text, "ids": ids})
        if ids != other:
            print(repr(text), ids, other, sep="\n  ", file=sys.stderr)
    if apart:
        sys.exit(f"{len(apart)} texts differ")
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32
    )
    weights = model.state_dict()
    rows = [
        {"name": name, "row": row, "values": weights[name][row][:8].tolist()}
        for name, row in ROWS
    ]
    made_by = [f"{name} {version(name)}" for name in ("transformers", "llama_cpp_python")]
    lines = lambda items: ",\n".join(json.dumps(item) for item in items)
    text = f'{{"made_by": {json.dumps(made_by)},\n"texts": [\n{lines(cases)}],\n"rows": [\n{lines(rows)}]}}\n'
    Path(__file__).with_suffix(".json").write_text(text)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
