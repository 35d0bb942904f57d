"""Screens a table on a Ray cluster: every task runs the verdict binary on its share of the rows.

    pip install ray==2.60.0
    python dev/reference/ray/screen_with_ray.py --model MODEL --question "Does this abstract report a randomised trial?" \
        --input records.jsonl --out answers.jsonl --rows-per-task 5000 [--gpus-per-task 1] [--address auto]

Rows travel through Ray, so that workers need no shared folder: they need the binary and the model at the same paths. The
answers are joined in the order of the rows, and equal those of one process byte by byte on processors of one kind. Rows
need an `id`, because a row's number would be that within its task. A task that is lost with its node is run again by Ray.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import ray


def screen(lines, command):
    """The answers to some rows, as JSON lines, and what the binary said if it refused some of them."""
    with tempfile.TemporaryDirectory() as folder:
        table, answers = Path(folder, "rows.jsonl"), Path(folder, "answers.jsonl")
        table.write_bytes(b"".join(lines))
        ended = subprocess.run([*command, "--quiet", "--input", table, "--out", answers], capture_output=True)
        # 2: some rows were refused, and have an error in the place of their answer.
        if ended.returncode not in (0, 2) or not answers.exists():
            raise RuntimeError(ended.stderr.decode())
        return answers.read_bytes(), ended.stderr.decode().replace(folder, "")


def parts(path, rows):
    """The lines of a file, so many at a time."""
    part = []
    with open(path, "rb") as file:
        for line in file:
            part.append(line)
            if len(part) == rows:
                yield part
                part = []
    if part:
        yield part


def main():
    """Sends the parts to the cluster, a bounded number at a time, and writes the answers in order."""
    flags = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    flags.add_argument("--verdict", default="verdict", help="the binary, as workers find it")
    flags.add_argument("--model", help="base model, as workers find it")
    flags.add_argument("--run", help="run folder, as workers find it")
    flags.add_argument("--question", required=True)
    flags.add_argument("--input", required=True)
    flags.add_argument("--out", required=True)
    flags.add_argument("--rows-per-task", type=int, default=5000)
    flags.add_argument("--cpus-per-task", type=int, default=1)
    flags.add_argument("--gpus-per-task", type=int, default=0)
    flags.add_argument("--address", help="of a cluster (auto, ray://host:10001) [default: this machine]")
    given = flags.parse_args()
    command = [given.verdict, "ask", "--question", given.question, "--threads", str(given.cpus_per_task)]
    for name in ("model", "run"):
        if getattr(given, name):
            command += [f"--{name}", getattr(given, name)]
    ray.init(address=given.address, log_to_driver=False)
    task = ray.remote(num_cpus=given.cpus_per_task, num_gpus=given.gpus_per_task)(screen)
    ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)) // given.cpus_per_task)
    running, refused = [], False
    with open(given.out, "wb") as out:
        def write_first():
            answers, said = ray.get(running.pop(0))
            out.write(answers)
            sys.stderr.write(said)
            return bool(said)

        for part in parts(given.input, given.rows_per_task):
            running.append(task.remote(part, command))
            if len(running) >= ahead:
                refused |= write_first()
        while running:
            refused |= write_first()
    sys.exit(2 if refused else 0)


if __name__ == "__main__":
    main()
