"""Writes the golden files of three tiny random models (llama, qwen2, qwen3).

    PYTHONHASHSEED=0 python dev/reference/goldens.py

Layout of what it writes: README.md beside this file. Same versions, same seed, same processor kind: same files.
"""

import json
import random
import shutil

import torch
from common import (GOLDENS, completion_loss, gradient_norm, logits_of, lora_parameters, numbers, number,
                    padded_loss, train_curve, versions, write_json)
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

SEED = 20240601
VOCAB = 320
SHAPE = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512, attn_implementation="eager", dtype="float32")
FAMILIES = {
    # Saved with a top-level rope_theta, as most folders on the hub have it; not the family's default, so that a
    # reader that misses the key is found out.
    "llama": dict(config=LlamaConfig(**SHAPE, num_hidden_layers=2, head_dim=16, rms_norm_eps=1e-5,
                                     tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
                                     rope_parameters={"rope_type": "default", "rope_theta": 50000.0}),
                  old_rope=True),
    # Saved with rope_parameters, as transformers 5 writes it; no head_dim key; two end tokens.
    "qwen2": dict(config=Qwen2Config(**SHAPE, num_hidden_layers=2, rms_norm_eps=1e-6, tie_word_embeddings=True,
                                     bos_token_id=1, eos_token_id=[2, 0],
                                     rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    # head_dim is not hidden / heads; sharded with an index.
    "qwen3": dict(config=Qwen3Config(**SHAPE, num_hidden_layers=3, head_dim=24, rms_norm_eps=1e-6,
                                     tie_word_embeddings=True, bos_token_id=None, eos_token_id=0,
                                     rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
                  shard="300KB"),
}
LENGTHS = [1, 2, 7, 12, 19, 33]        # tokens of each sequence
LOSS_FROM = [None, 1, 1, 5, 11, 20]    # first supervised token; a single token has nothing to predict
BATCHES = [[1, 2, 3], [4, 5], [2, 5], [1, 3, 4], [5], [2, 3, 4, 5], [1, 2, 3, 4, 5], [4], [3, 5], [2, 4, 5]]
PEAK_LR, WARMUP = 3e-3, 2              # ten times the recipe's rate, so that ten steps move a tiny model
CLIPS = {4: 1.0, 6: 8.0}               # by rank: 1.0 clips every step, 8.0 some or none

SENTENCES = [
    "Q: Does regular exercise lower blood pressure in adults?\nA: Yes. Rationale: Trials show a small fall.",
    "Q: Is the new test better than the old one?\nA: Uncertain. Rationale: The interval holds one.",
    "Q: Should a cold be treated with antibiotics?\nA: No. Rationale: Most colds are caused by viruses.",
    "The risk ratio was 0.85 with a 95% confidence interval from 0.60 to 1.05.",
]


def tiny_tokenizer():
    """A byte-level BPE of exactly VOCAB tokens: 3 special, 256 bytes, the rest merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False,
                                  special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(SENTENCES, trainer)
    assert tokenizer.get_vocab_size() == VOCAB
    return tokenizer


def randomise(model, generator):
    """Every parameter from a normal distribution, in the order of named_parameters."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name:
                p.copy_(1 + 0.2 * noise)
            elif name.endswith("bias"):
                p.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                p.copy_(0.3 * noise)
            else:
                p.copy_(noise / p.shape[1] ** 0.5)


def attach(folder, name, rank, generator):
    """The base with a fresh PEFT LoRA on all linear layers of the blocks, B not zero."""
    base = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32, attn_implementation="eager")
    base.config._name_or_path = base.name_or_path = f"tiny-{name}"
    model = get_peft_model(base, LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0,
                                            target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for site, p in lora_parameters(model).items():
            p.copy_((0.1 if "lora_A" in site else 0.15) * torch.randn(p.shape, generator=generator))
    return model.eval()


def save_base(model, folder, family):
    """The HF folder, with the tokenizer; the config's rope keys in the older layout where the family asks."""
    target = folder / "model"
    model.save_pretrained(target, max_shard_size=family.get("shard", "50GB"))
    (target / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((target / "config.json").read_text())
    if family.get("old_rope"):
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
        config["torch_dtype"] = config.pop("dtype")
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tiny_tokenizer().save(str(target / "tokenizer.json"))


def write_family(name, family):
    """Folder goldens/<name>: model/, adapter-r<rank>/, golden.json, golden.safetensors."""
    folder = GOLDENS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seed = SEED + list(FAMILIES).index(name)
    generator = torch.Generator().manual_seed(seed)
    drawn = random.Random(seed)

    base = AutoModelForCausalLM.from_config(family["config"]).eval()
    randomise(base, generator)
    save_base(base, folder, family)

    tokens = [[drawn.randrange(3, VOCAB) for _ in range(n)] for n in LENGTHS]
    supervised = {i: (tokens[i], start) for i, start in enumerate(LOSS_FROM) if start is not None}
    every = list(supervised.values())
    tensors = {}

    def record(model, prefix):
        """Logits of each sequence into `tensors`; returns the losses."""
        with torch.no_grad():
            for i, sequence in enumerate(tokens):
                tensors[f"{prefix}/logits/{i}"] = logits_of(model, sequence).contiguous()
            loss, sums = completion_loss(model, every)
            full, _ = completion_loss(model, [(t, 1) for t, _ in every])
            padded = padded_loss(model, every, 0)
        assert abs(padded.item() - loss.item()) < 1e-5, (padded, loss)
        return {"loss": number(loss), "loss_sums": numbers(sums), "loss_full": number(full)}

    golden = {"family": name, "seed": seed, "versions": versions(),
              "sequences": [{"tokens": t, "loss_from": s} for t, s in zip(tokens, LOSS_FROM)],
              "base": record(base, "base"), "adapters": {}}
    for rank, clip in CLIPS.items():
        prefix = f"r{rank}"
        model = attach(folder, name, rank, generator)
        with torch.no_grad(), model.disable_adapter():  # the saved folder is the model that was drawn
            assert torch.equal(logits_of(model, tokens[-1]), tensors[f"base/logits/{len(tokens) - 1}"])
        model.save_pretrained(folder / f"adapter-{prefix}")
        (folder / f"adapter-{prefix}" / "README.md").unlink(missing_ok=True)
        entry = {"rank": rank, "alpha": 2 * rank, "folder": f"adapter-{prefix}", **record(model, prefix)}
        loss, _ = completion_loss(model, every)
        loss.backward()
        parameters = lora_parameters(model)
        for site, p in parameters.items():
            tensors[f"{prefix}/gradient/{site}"] = p.grad.clone()
        entry["gradient_norm"] = number(gradient_norm(parameters.values()))
        losses, norms, rates = train_curve(model, [[supervised[i] for i in b] for b in BATCHES], PEAK_LR, WARMUP,
                                           clip)
        entry["curve"] = {"peak_lr": PEAK_LR, "warmup_steps": WARMUP, "clip": clip, "batches": BATCHES,
                          "lr": rates, "losses": numbers(losses), "gradient_norms": numbers(norms)}
        for site, p in parameters.items():
            tensors[f"{prefix}/final/{site}"] = p.detach().clone()
        golden["adapters"][prefix] = entry
        print(name, prefix, "loss", entry["loss"], "norm", entry["gradient_norm"])
        print("  losses", entry["curve"]["losses"])
        print("  norms ", entry["curve"]["gradient_norms"])
    print(name, "base", golden["base"])
    save_file(tensors, folder / "golden.safetensors")
    write_json(folder / "golden.json", golden)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, family in FAMILIES.items():
        write_family(name, family)
