"""Writes the golden files of label scores and of Llama 3's rotary scaling, in float64 with numpy alone: the decoder
as transformers' modeling_llama.py, modeling_qwen2.py and modeling_qwen3.py state it, and the frequencies as
`_compute_llama3_parameters` of modeling_rope_utils.py does, in float32. The decoder here is checked on the logits that
goldens.py wrote with transformers.

    python dev/reference/labels_golden.py

crates/answer/src/tests/labels.json: logarithms of the probabilities that ` Yes`, ` No` and ` Un` + `certain` follow a
prompt. The token numbers are those of the tests' own tokenizer (`verdict_answer::testing::tokenizer_of`): 256 bytes,
then the merges of its words.
crates/model/tests/goldens/llama3_rope.json: frequencies of published configurations, and logits of the tiny Llama with
`rope_scaling` laid over its config.json.
"""

import json
import pathlib
import struct

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates/model/tests/goldens"
PROMPT = list("Q: Does it help?\nA:".encode())
LABELS = {"Yes": [258], "No": [260], "Uncertain": [262, 268]}


def tensors(folder, pattern="*.safetensors"):
    found = {}
    for path in sorted(folder.glob(pattern)):
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, info in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                assert info["dtype"] == "F32", info
                start, end = (8 + size + offset for offset in info["data_offsets"])
                found[name] = np.frombuffer(data[start:end], "<f4").reshape(info["shape"]).astype(np.float64)
    return found


def llama3(frequencies, factor, low_freq_factor, high_freq_factor, original_max_position_embeddings, **_):
    f32 = np.float32
    old, low, high = original_max_position_embeddings, low_freq_factor, high_freq_factor
    wavelength = f32(2 * np.pi) / frequencies
    scaled = np.where(wavelength > f32(old / low), frequencies / f32(factor), frequencies)
    smooth = (f32(old) / wavelength - f32(low)) / f32(high - low)
    between = (f32(1) - smooth) * scaled / f32(factor) + smooth * scaled
    medium = ~(wavelength < f32(old / high)) & ~(wavelength > f32(old / low))
    return np.where(medium, between, scaled).astype(f32)


def frequencies_of(head, theta):
    exponents = np.arange(0, head, 2, dtype=np.int64).astype(np.float32) / np.float32(head)
    return (np.float32(1) / np.float32(theta) ** exponents).astype(np.float32)


def logits(folder, tokens, scaling=None):
    config = json.loads((folder / "config.json").read_text())
    w = tensors(folder)
    eps, heads, kv = config["rms_norm_eps"], config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    frequencies = frequencies_of(head, theta)
    if scaling:
        frequencies = llama3(frequencies, **scaling)
    angles = np.outer(np.arange(len(tokens)), frequencies.astype(np.float64))
    cos, sin = (np.tile(f(angles), (1, 2)) for f in (np.cos, np.sin))
    rotate = lambda x: x * cos + np.concatenate([-x[..., head // 2:], x[..., :head // 2]], -1) * sin
    norm = lambda x, name: x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[name]
    x = w["model.embed_tokens.weight"][tokens]
    mask = np.triu(np.full((len(tokens),) * 2, -np.inf), 1)
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        h = norm(x, p + "input_layernorm.weight")

        def part(name, count):
            y = h @ w[p + f"self_attn.{name}_proj.weight"].T + w.get(p + f"self_attn.{name}_proj.bias", 0.0)
            y = y.reshape(len(tokens), count, head).swapaxes(0, 1)
            own = p + f"self_attn.{name}_norm.weight"
            return norm(y, own) if own in w else y

        q, k, v = rotate(part("q", heads)), rotate(part("k", kv)), part("v", kv)
        k, v = (np.repeat(y, heads // kv, 0) for y in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(head) + mask
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        out = (scores / scores.sum(-1, keepdims=True)) @ v
        x = x + out.swapaxes(0, 1).reshape(len(tokens), -1) @ w[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm.weight")
        gate = h @ w[p + "mlp.gate_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w[p + "mlp.up_proj.weight"].T)) @ w[p + "mlp.down_proj.weight"].T
    x = norm(x, "model.norm.weight")
    return x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T


def check(family):
    """The decoder above against transformers' logits."""
    golden = json.loads((GOLDENS / family / "golden.json").read_text())
    wanted = tensors(GOLDENS / family, "golden.safetensors")
    for number, sequence in enumerate(golden["sequences"]):
        found = logits(GOLDENS / family / "model", sequence["tokens"])
        want = wanted[f"base/logits/{number}"].reshape(found.shape)
        assert np.abs(found - want).max() < 2e-5 * np.abs(want).max(), (family, number)


def labels():
    found = {}
    for family in ("llama", "qwen2", "qwen3"):
        check(family)
        found[family] = {}
        for label, tokens in LABELS.items():
            rows = logits(GOLDENS / family / "model", PROMPT + tokens)[len(PROMPT) - 1:-1]
            most = rows.max(-1, keepdims=True)
            rows = rows - most - np.log(np.exp(rows - most).sum(-1, keepdims=True))
            found[family][label] = float(sum(row[token] for row, token in zip(rows, tokens)))
    return {"prompt": PROMPT, "labels": LABELS, "log_probabilities": found}


def rope():
    frequencies = []
    for name, head, theta, factor in [("Llama-3.1-8B", 128, 500000.0, 8.0), ("Llama-3.2-1B", 64, 500000.0, 32.0)]:
        scaling = dict(factor=factor, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
        values = llama3(frequencies_of(head, theta), **scaling)
        frequencies.append({"model": name, "head_dim": head, "theta": theta, **scaling,
                            "values": [float(v) for v in values]})
    # A short original length, so that the tiny model's few positions reach every branch.
    scaling = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=48)
    tokens = [(7 * i + 3) % 317 + 3 for i in range(40)]
    last = logits(GOLDENS / "llama/model", tokens, scaling)[-1]
    assert np.abs(last - logits(GOLDENS / "llama/model", tokens)[-1]).max() > 0.05 * np.abs(last).max()
    return {"frequencies": frequencies, "rope_scaling": scaling, "tokens": tokens, "last_logits": last.tolist()}


if __name__ == "__main__":
    for path, value in [(ROOT / "crates/answer/src/tests/labels.json", labels()), (GOLDENS / "llama3_rope.json", rope())]:
        path.write_text(json.dumps(value) + "\n")
