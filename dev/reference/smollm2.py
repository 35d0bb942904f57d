"""Writes crates/model/tests/goldens/smollm2.json: SmolLM2-135M-Instruct by transformers, PEFT and llama.cpp's tokenizer.

    OMP_NUM_THREADS=1 python dev/reference/smollm2.py     # about 3 minutes on one core

The layout is told in README.md beside this file. All sentences here are written for this project.
"""

import random
import sys

import numpy as np
import torch
from common import (GOLDENS, SITES, completion_loss, gradient_norm, logits_of, lora_parameters, number, numbers,
                    train_curve, versions, write_json)
from peft import LoraConfig, get_peft_model
from smollm2_base import GGUF_NAME, gguf_path, load_model, load_tokenizer, sha256

SEED = 20240602
RANK, ALPHA = 8, 16
SCALE_A, SCALE_B = 0.0625, 0.0625   # powers of two: the formula stays exact in float32
PEAK_LR, WARMUP, STEPS, BATCH = 1e-3, 1, 10, 4
END = 2

TEXTS = [
    "Q: Does regular walking lower blood pressure?\nA:",
    " Yes. Rationale: Small trials agree on a modest fall.",
    " No. Rationale: The interval holds one.",
    " Uncertain. Rationale: Too little is reported.",
    "Context: 1,204 adults, 12.5% smokers; RR 0.85 (95% CI 0.60–1.05), p<0.001.\nQ: Is it shown?\nA:",
    "two  blanks  81 mg, three   blanks 7, tab\t5, line\n\n12\n 3",
    "no-break\u00a05 thin\u20095 mg/kg, 37.5 °C, ±2 SD, x² + y³ = ½",
    "naïve β-blocker, TNF-α, µg/mL, Ménière’s, Sjögren",
    "日本語のテキスト、中文文本。한국어 русский العربية עברית ไทย",
    "😀👩‍⚕️🇨🇭 emoji and e\u0301 combining",
    "don't they've it's we'll I'M \"quoted\" ‘curly’ “double” …",
    "HbA1c CD4+ T-cells IL-6 SARS-CoV-2 H1N1 q.i.d. i.v. vs. e.g. Dr. 10^-3 1e-5",
    "UPPER lower MiXeD snake_case camelCase https://example.org/a?b=c#d",
    "٣٤٥ Ⅳ ⅷ 一二三 १२३",
    "   leading and trailing   ", "\n", " ", "a", "0", "1234567890",
    "zero\u200bwidth \ufeffmark \u2028line \U0001d54f",
    "(a)[b]{c}<d>/e\\f|g~h`i@j#k$l%m^n&o*p=q+r;s:t,u.v?w!",
]

PROMPTS = [
    "Q: Does regular exercise lower blood pressure in adults?\nA:",
    "The capital of France is",
    "Context: In a trial of 240 people, 31 of 120 in the new arm and 45 of 120 in the old arm fell ill within 30 days "
    "(risk ratio 0.69, 95% CI 0.47 to 1.01).\nQ: Did the new treatment reduce illness?\nA:",
    "A short lesson on reading studies. " + " ".join(
        f"Lesson {i}: an interval of a ratio that holds 1.0 does not show a difference, whatever the point estimate, "
        f"and a p value above 0.0{i} is not a proof of no effect." for i in range(1, 9)),
]

ITEMS = [
    ("Does a short walk after dinner help people with raised blood sugar?", "Yes",
     "Several small crossover studies found lower readings in the two hours that followed."),
    ("Is a single normal reading enough to rule out raised pressure?", "No",
     "Readings vary from day to day, so several are needed."),
    ("Will the new inhaler reduce night-time cough in adults?", "Uncertain",
     "The only study had 24 people and its interval held no difference."),
    ("Do compression stockings shorten recovery after long flights?", "Uncertain",
     "Results differ between trials and none measured recovery directly."),
    ("Does washing hands before meals lower the rate of stomach upsets?", "Yes",
     "The rate fell from 14% to 9% (risk ratio 0.64, 95% CI 0.45 to 0.91)."),
    ("Can a blood test taken once replace the yearly eye examination?", "No",
     "The test says nothing about the retina."),
    ("Is the taller dose better than the lower dose for sleep?", "No",
     "Both groups slept 6.8 hours on average."),
    ("Do reminders by text message improve attendance?", "Yes",
     "Attendance rose by 11 points in 5 of 6 clinics."),
]


def uniform(count, site):
    """`count` floats in [-0.5, 0.5): 24 bits of lowbias32(i + site * 0x9E3779B9), in unsigned 32-bit arithmetic."""
    x = np.arange(count, dtype=np.uint32) + np.uint32((site * 0x9E3779B9) & 0xFFFFFFFF)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0 ** -24) - np.float32(0.5)


def site_index(name):
    """Number of a LoRA tensor: ((layer * 7 + place in SITES) * 2) + (0 for A, 1 for B)."""
    parts = name.split(".")
    return (int(parts[2]) * 7 + SITES.index(".".join(parts[3:5]))) * 2 + (parts[5] == "lora_B")


def set_adapter(model):
    """Gives every LoRA tensor its values by the formula."""
    with torch.no_grad():
        for name, p in lora_parameters(model).items():
            scale = SCALE_B if "lora_B" in name else SCALE_A
            values = uniform(p.numel(), site_index(name)) * np.float32(scale)
            p.copy_(torch.from_numpy(values).reshape(p.shape))


def tokenizer_golden(encode):
    """Tokens of TEXTS; llama.cpp, reading the same GGUF, must agree on each."""
    from llama_cpp import Llama

    llama = Llama(model_path=str(gguf_path()), vocab_only=True, verbose=False)
    for text in TEXTS:
        theirs = llama.tokenize(text.encode(), add_bos=False, special=False)
        assert encode(text) == theirs, (text, encode(text), theirs)
    return [{"text": text, "tokens": encode(text)} for text in TEXTS]


def prompt_golden(model, tokens, subset):
    """Logits of one prompt at its first, middle and last position, and 24 greedy tokens with their lead."""
    logits = logits_of(model, tokens)
    rows = []
    for position in (0, len(tokens) // 2, len(tokens) - 1):
        values, ids = logits[position].topk(20)
        rows.append({"position": position, "top_ids": ids.tolist(), "top_logits": numbers(values),
                     "subset_logits": numbers(logits[position][subset])})
    text, leads = list(tokens), []
    for _ in range(24):
        best = logits_of(model, text)[-1].topk(2)
        leads.append(number(best.values[0] - best.values[1]))
        text.append(best.indices[0].item())
    return {"tokens": tokens, "rows": rows, "greedy": text[len(tokens):], "greedy_lead": leads}


def label_log_probabilities(model, encode, prompt):
    """Log-probability of ` Yes.`, ` No.`, ` Uncertain.` after the prompt, in nats."""
    result = {}
    for label in ("Yes", "No", "Uncertain"):
        completion = encode(f" {label}.")
        _, sums = completion_loss(model, [(prompt + completion, len(prompt))])
        result[label] = number(-sums[0])
    return result


def main():
    torch.set_num_threads(1)
    tokenizer, model = load_tokenizer(), load_model()

    def encode(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    golden = {"model": GGUF_NAME, "sha256": sha256(gguf_path()), "seed": SEED, "versions": versions(),
              "tokenizer": tokenizer_golden(encode)}
    subset = sorted(random.Random(SEED).sample(range(model.config.vocab_size), 200))
    with torch.no_grad():
        golden["subset_ids"] = subset
        golden["prompts"] = []
        for text in PROMPTS:
            golden["prompts"].append({"text": text, **prompt_golden(model, encode(text), subset)})
            print(len(golden["prompts"][-1]["tokens"]), repr(tokenizer.decode(golden["prompts"][-1]["greedy"])))

        items, sequences = [], []
        for question, label, rationale in ITEMS:
            prompt, completion = encode(f"Q: {question}\nA:"), encode(f" {label}. Rationale: {rationale}")
            sequences.append((prompt + completion + [END], len(prompt)))
            items.append({"question": question, "label": label, "rationale": rationale,
                          "tokens": sequences[-1][0], "loss_from": len(prompt),
                          "label_log_probabilities": label_log_probabilities(model, encode, prompt)})
        loss, sums = completion_loss(model, sequences)
        for item, value in zip(items, sums):
            item["loss_sum"] = number(value)
        golden["items"] = items
        golden["loss"] = number(loss)
        print("base loss", golden["loss"])

    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear",
                                             task_type="CAUSAL_LM")).eval()
    set_adapter(model)
    with torch.no_grad():
        rows = logits_of(model, items[0]["tokens"])
        last = items[0]["loss_from"] - 1
        adapted = {"position": last, "subset_logits": numbers(rows[last][subset])}
    loss, sums = completion_loss(model, sequences)
    loss.backward()
    parameters = lora_parameters(model)
    assert len(parameters) == 30 * 7 * 2
    adapter = {"rank": RANK, "alpha": ALPHA, "scale_a": SCALE_A, "scale_b": SCALE_B, "sites": list(SITES),
               "first_values": {name: numbers(parameters[name].flatten()[:4]) for name in list(parameters)[:4]},
               "item_0_logits": adapted, "loss": number(loss), "loss_sums": numbers(sums),
               "gradient_norm": number(gradient_norm(parameters.values())),
               "gradients": {name: [number(p.grad.double().norm())] + numbers(p.grad.flatten()[:8])
                             for name, p in parameters.items()}}
    print("adapter loss", adapter["loss"], "norm", adapter["gradient_norm"])

    batches = [[(step * BATCH + j) % len(ITEMS) for j in range(BATCH)] for step in range(STEPS)]
    losses, norms, rates = train_curve(model, [[sequences[i] for i in b] for b in batches], PEAK_LR, WARMUP)
    with torch.no_grad():
        after, _ = completion_loss(model, sequences)
    adapter["curve"] = {"peak_lr": PEAK_LR, "warmup_steps": WARMUP, "clip": 1.0, "batches": batches, "lr": rates,
                        "losses": numbers(losses), "gradient_norms": numbers(norms), "loss_after": number(after)}
    print(adapter["curve"])
    golden["adapter"] = adapter
    write_json(GOLDENS / "smollm2.json", golden)


if __name__ == "__main__":
    sys.exit(main())
