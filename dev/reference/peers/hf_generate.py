"""Times transformers' generation on this CPU and prints one JSON object per case; the same work as llama.py's.

    python dev/reference/peers/hf_generate.py --model HF_FOLDER --dtype bfloat16 [--case all|prompt|generate|together|one]

prompt    one pass over 64 tokens, head on the last row
generate  32 greedy tokens after a prompt of 21; the prompt's pass is counted (generate() does not part them)
together  33 prompts of 21 tokens as one batch, 32 tokens each
one       a whole process from nothing: imports, load, a question, 32 greedy tokens; timed from outside
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

QUESTION = "Q: Does aspirin prevent heart attacks?\nA:"
CASES = ("prompt", "generate", "together", "one")


def arguments():
    """Parsed arguments."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--case", choices=("all", "answer", *CASES), default="all",
                        help="`answer` is the process that `one` times")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64, help="prompt: its length")
    parser.add_argument("--new", type=int, default=32, help="tokens to generate")
    parser.add_argument("--sequences", type=int, default=33, help="together: how many")
    parser.add_argument("--prompt", type=int, default=21, help="tokens of each prompt")
    args = parser.parse_args()
    if not args.model.exists():
        sys.exit(f"hf_generate.py: {args.model}: not found")
    return args


def timed(work, repeats):
    """Seconds of `repeats` runs after one that warms up."""
    times = []
    for repeat in range(-1, repeats):
        start = time.perf_counter()
        work()
        if repeat >= 0:
            times.append(time.perf_counter() - start)
    return times


def report(args, case, times, tokens, **more):
    """One line of JSON."""
    median = statistics.median(times)
    print(json.dumps({"case": f"hf_{case}", "dtype": args.dtype, "threads": args.threads, "repeats": len(times),
                      "tokens": tokens, "s_median": round(median, 4), "s_min": round(min(times), 4),
                      "s_max": round(max(times), 4), "tok_s": round(tokens / median, 1), **more}), flush=True)


def answer(args):
    """The process that `one` times; the answer goes to stdout."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    ids = tokenizer(QUESTION, return_tensors="pt", add_special_tokens=False)
    out = model.generate(**ids, max_new_tokens=args.new, min_new_tokens=args.new, do_sample=False, pad_token_id=2)
    print(tokenizer.decode(out[0][ids["input_ids"].shape[1]:]))


def inside(args, cases):
    """The cases that share one loaded model."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).eval()

    def filler(sequences, tokens):
        return (torch.arange(sequences * tokens) * 2654435761 % 40000 + 1000).reshape(sequences, tokens)

    def generate(sequences):
        ids = filler(sequences, args.prompt)
        model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=args.new,
                       min_new_tokens=args.new, do_sample=False, pad_token_id=2)

    def memory():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    with torch.inference_mode():
        if "prompt" in cases:
            ids = filler(1, args.tokens)
            times = timed(lambda: model(ids, logits_to_keep=1), args.repeats)
            report(args, "prompt", times, args.tokens, peak_rss_mib=memory())
        if "generate" in cases:
            report(args, "generate", timed(lambda: generate(1), args.repeats), args.new, peak_rss_mib=memory())
        if "together" in cases:
            times = timed(lambda: generate(args.sequences), args.repeats)
            report(args, "together", times, args.sequences * args.new, peak_rss_mib=memory())


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"], os.environ["HF_HUB_OFFLINE"] = str(args.threads), "1"
    if args.case == "answer":
        return answer(args)
    cases = CASES if args.case == "all" else (args.case,)
    if set(cases) - {"one"}:
        inside(args, cases)
    if "one" in cases:
        command = [sys.executable, __file__, "--model", str(args.model), "--dtype", args.dtype, "--case", "answer",
                   "--threads", str(args.threads), "--new", str(args.new)]
        texts = []
        times = timed(lambda: texts.append(subprocess.run(command, check=True, capture_output=True,
                                                          text=True).stdout.strip()), min(args.repeats, 3))
        report(args, "one", times, args.new, answer=texts[-1])


if __name__ == "__main__":
    main()
