"""Scores files of `verdict eval`'s `official/` folder as PubMedQA's own evaluation does: accuracy and macro-F1 by
scikit-learn over the official test's ground truth, six digits.

    pip install scikit-learn==1.9.1
    python dev/reference/pubmedqa_official.py test_ground_truth.json run/official/*.json [--report run/report.json]

With --report, each figure is held to what the report says.
"""

import argparse
import json
import sys
from pathlib import Path

from sklearn.metrics import accuracy_score, f1_score


def main():
    """Prints a line for each file; fails where a report says otherwise."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("truth")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--report")
    arguments = parser.parse_args()
    truth = json.loads(Path(arguments.truth).read_text())
    told = {}
    if arguments.report:
        for benchmark in json.loads(Path(arguments.report).read_text())["benchmarks"]:
            for system in benchmark["systems"]:
                scores = system["scores"]
                told[f"{benchmark['name']}-{system['name']}"] = (scores["accuracy"]["rows"]["value"],
                                                                scores["macro_f1"]["value"])
    differ = 0
    for name in arguments.files:
        answers = json.loads(Path(name).read_text())
        assert answers.keys() == truth.keys(), f"{name}: expected an answer to each of the {len(truth)} questions"
        order = list(truth)
        right, given = [truth[pmid] for pmid in order], [answers[pmid] for pmid in order]
        found = (accuracy_score(right, given), f1_score(right, given, average="macro"))
        line = f"{name}: accuracy {found[0]:.6f} macro-F1 {found[1]:.6f}"
        report = told.get(Path(name).stem)
        if report:
            same = all(f"{a:.6f}" == f"{b:.6f}" for a, b in zip(found, report))
            line += ", as the report says" if same else f", the report says {report}"
            differ += not same
        print(line)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
