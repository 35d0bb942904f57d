"""Times transformers on `verdict ask --input`'s work: the label of each abstract, by the log-probability of its first token.

    python dev/reference/peers/hf_labels.py --model HF_FOLDER --rows rows.jsonl --dtype bfloat16 [--batch 8] [--threads 2]

Rows have `title` and `abstract`. Prompts as Verdict's, batches of neighbours padded on the left, only the last row's logits.
Prints one JSON object: rows and prompt tokens a second without the time for loading.
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

LABELS = (" Yes", " No", " Uncertain")


def main():
    """Answers all rows and prints the speed."""
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("--model", required=True)
    flags.add_argument("--rows", required=True)
    flags.add_argument("--question", default="Does this abstract report a randomised trial?")
    flags.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    flags.add_argument("--batch", type=int, default=8)
    flags.add_argument("--threads", type=int, default=2)
    given = flags.parse_args()
    torch.set_num_threads(given.threads)
    tokenizer = AutoTokenizer.from_pretrained(given.model, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, given.dtype)).eval()
    ids = [tokenizer.encode(label, add_special_tokens=False)[0] for label in LABELS]
    with open(given.rows) as file:
        rows = [json.loads(line) for line in file]
    prompts = [f"Context: {row['title']} {row['abstract']}\nQ: {given.question}\nA:" for row in rows]
    tokens, answers = 0, []
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(prompts), given.batch):
            batch = tokenizer(prompts[first:first + given.batch], return_tensors="pt", padding=True)
            tokens += int(batch["attention_mask"].sum())
            logits = model(**batch, logits_to_keep=1, use_cache=False).logits[:, -1].float()
            answers += logits.log_softmax(-1)[:, ids].argmax(-1).tolist()
    seconds = time.perf_counter() - start
    print(json.dumps({"rows": len(rows), "dtype": given.dtype, "batch": given.batch, "threads": given.threads,
                      "rows_s": round(len(rows) / seconds, 3), "tok_s": round(tokens / seconds, 1),
                      "yes": answers.count(0), "no": answers.count(1), "uncertain": answers.count(2)}))


if __name__ == "__main__":
    main()
