"""Times llama.cpp on this machine and prints one JSON object per case.

    python dev/reference/peers/llama.py --gguf FILE.gguf [--case all|prompt|generate|together|one] [--threads 2]

Runs with the Python that has llama-cpp-python, built from source for this machine: see README.md one folder up.
The work is done by llama_peer.c, compiled once into the temporary folder against that build's library.

prompt    one pass over 64 tokens (--tokens), head on the last row; median of --repeats after a warm-up
generate  32 greedy tokens (--new) after a prompt of 21, prompt not counted
together  33 prompts (--sequences) of 21 tokens (--prompt) as one batch, then 32 tokens each (the first comes from the
          prompts' pass), all counted
one       a whole process from nothing: load, tokenize a question, 32 greedy tokens; timed from outside
"""

import argparse
import hashlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUESTION = "Q: Does aspirin prevent heart attacks?\nA:"


def build():
    """The compiled program; made anew when the source or the library changed."""
    package = Path(importlib.util.find_spec("llama_cpp").submodule_search_locations[0])
    library, include = package / "lib", package.parent / "include"
    source = Path(__file__).with_name("llama_peer.c")
    stamp = f"{source.read_text()}{library}{(library / 'libllama.so').stat().st_mtime_ns}"
    program = Path(tempfile.gettempdir()) / f"llama_peer-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}"
    if not program.exists():
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", f"-I{include}", str(source), "-o", f"{program}.new",
                        f"-L{library}", f"-Wl,-rpath,{library}", "-lllama", "-lggml", "-lggml-base", "-lggml-cpu"],
                       check=True)
        os.replace(f"{program}.new", program)
    return program


def time_one(command, repeats):
    """Wall seconds of the whole process, after one run that warms the file cache; and what it answered."""
    times, answer = [], ""
    for repeat in range(-1, repeats):
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        if repeat >= 0:
            times.append(time.perf_counter() - start)
        answer = done.stderr.strip()
    return {"case": "llama_one", "repeats": repeats, "s_median": round(statistics.median(times), 4),
            "s_min": round(min(times), 4), "s_max": round(max(times), 4), "answer": answer}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--case", choices=["all", "prompt", "generate", "together", "one"], default="all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64, help="prompt: its length")
    parser.add_argument("--new", type=int, default=32, help="tokens to generate")
    parser.add_argument("--sequences", type=int, default=33, help="together: how many")
    parser.add_argument("--prompt", type=int, default=21, help="together: tokens of each prompt")
    parser.add_argument("--unified-kv", action="store_true", help="together: one cache for all sequences")
    args = parser.parse_args()
    if not args.gguf.exists():
        sys.exit(f"llama.py: {args.gguf}: not found")
    head = [str(build()), str(args.gguf), str(args.threads)]
    words = {"prompt": [args.tokens, args.repeats], "generate": [args.new, args.repeats],
             "together": [args.sequences, args.prompt, args.new, args.repeats, int(args.unified_kv)],
             "one": [args.new, QUESTION]}
    for case in words if args.case == "all" else [args.case]:
        command = head + [case] + [str(w) for w in words[case]]
        if case == "one":
            result = time_one(command, args.repeats)
        else:
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        print(json.dumps({**result, "gguf": args.gguf.name, "threads": args.threads}), flush=True)


if __name__ == "__main__":
    main()
