"""Writes the golden files of label scores and of Llama 3's rotary scaling with transformers: weights and sums in
float64, rotary frequencies and angles in float32, as transformers computes them whatever the dtype.

    python dev/reference/labels_golden.py

crates/answer/src/tests/labels.json: logarithms of the probabilities that ` Yes`, ` No` and ` Un` + `certain` follow a
prompt. The token numbers are those of the tests' own tokenizer (`verdict_answer::testing::tokenizer_of`): 256 bytes,
then the merges of its words.
crates/model/tests/goldens/llama3_rope.json: frequencies of published configurations, and logits of the tiny Llama with
`rope_scaling` laid over its config.json.

Prints how far the new figures are from those that it replaces.
"""

import json

import torch
from common import GOLDENS, versions
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

LABEL_SCORES = GOLDENS.parents[2] / "answer/src/tests/labels.json"
PROMPT = list("Q: Does it help?\nA:".encode())
LABELS = {"Yes": [258], "No": [260], "Uncertain": [262, 268]}


def logits(folder, tokens, scaling=None):
    """Logits of every position, [tokens, vocabulary]."""
    config = AutoConfig.from_pretrained(folder)
    if scaling:
        config.rope_parameters = {**config.rope_parameters, **scaling}
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float64,
                                                 attn_implementation="eager").eval()
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0]


def labels():
    scores = {}
    for family in ("llama", "qwen2", "qwen3"):
        scores[family] = {}
        for label, tokens in LABELS.items():
            rows = logits(GOLDENS / family / "model", PROMPT + tokens)[len(PROMPT) - 1:-1].log_softmax(-1)
            scores[family][label] = float(sum(row[token] for row, token in zip(rows, tokens)))
    return {"prompt": PROMPT, "labels": LABELS, "log_probabilities": scores}


def rope():
    frequencies = []
    for name, head, theta, factor in [("Llama-3.1-8B", 128, 500000.0, 8.0), ("Llama-3.2-1B", 64, 500000.0, 32.0)]:
        scaling = dict(factor=factor, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
        config = LlamaConfig(hidden_size=2 * head, num_attention_heads=2, head_dim=head,
                             max_position_embeddings=131072,
                             rope_parameters=dict(rope_type="llama3", rope_theta=theta, **scaling))
        values, _ = ROPE_INIT_FUNCTIONS["llama3"](config, device="cpu")
        frequencies.append({"model": name, "head_dim": head, "theta": theta, **scaling, "values": values.tolist()})
    # A short original length, so that the tiny model's few positions reach every branch.
    scaling = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=48)
    tokens = [(7 * i + 3) % 317 + 3 for i in range(40)]
    last = logits(GOLDENS / "llama/model", tokens, scaling)[-1]
    plain = logits(GOLDENS / "llama/model", tokens)[-1]
    assert (last - plain).abs().max() > 0.05 * last.abs().max(), "the scaling changes nothing"
    return {"frequencies": frequencies, "rope_scaling": scaling, "tokens": tokens, "last_logits": last.tolist()}


def numbers(value):
    """All numbers of a JSON value, in order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [value] if isinstance(value, float) else []


if __name__ == "__main__":
    print(versions())
    for path, value in [(LABEL_SCORES, labels()), (GOLDENS / "llama3_rope.json", rope())]:
        old, new = numbers(json.loads(path.read_text())), numbers(value)
        print(path.name, "largest change", max(abs(a - b) for a, b in zip(old, new, strict=True)))
        path.write_text(json.dumps(value) + "\n")
