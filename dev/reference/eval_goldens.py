"""Writes the golden figures that crates/eval is checked against.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 scikit-learn==1.9.1
    python dev/reference/eval_goldens.py

Versions: Python 3.11, numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, scikit-learn 1.9.1. Seed 20240603.
Same versions: same file, crates/eval/tests/goldens/metrics.json.
"""

import json
import random
import warnings
from pathlib import Path

import numpy
import scipy
import sklearn
import statsmodels
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score
from statsmodels.stats.proportion import proportion_confint

PINNED = {"numpy": "2.4.6", "scipy": "1.17.1", "statsmodels": "0.15.0", "scikit-learn": "1.9.1"}
LABELS = ["Yes", "No", "Uncertain"]
OUT = Path(__file__).resolve().parents[2] / "crates" / "eval" / "tests" / "goldens" / "metrics.json"


def wilson(count, total):
    """Wilson's 95 % interval, the same from two libraries."""
    low, high = proportion_confint(count, total, alpha=0.05, method="wilson")
    other = binomtest(count, total).proportion_ci(confidence_level=0.95, method="wilson")
    assert abs(low - other.low) < 1e-12 and abs(high - other.high) < 1e-12
    return {"count": count, "total": total, "low": low, "high": high}


def classified(truth, answers):
    """Scores of answers ("none": no readable label) against the truth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers "none" never occur in the truth
        return {
            "truth": truth,
            "answers": answers,
            "accuracy": accuracy_score(truth, answers),
            "balanced_accuracy": balanced_accuracy_score(truth, answers),
            "macro_f1": f1_score(truth, answers, labels=sorted(set(truth)), average="macro", zero_division=0),
            "confusion": confusion_matrix(truth, answers, labels=[*LABELS, "none"])[:3].tolist(),
        }


def lengths(values):
    """Mean, median, 95th percentile, largest."""
    return {"values": values, "mean": float(numpy.mean(values)), "median": float(numpy.median(values)),
            "p95": float(numpy.percentile(values, 95)), "max": int(max(values))}


def main():
    """Makes and writes the file."""
    found = {"numpy": numpy.__version__, "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
             "scikit-learn": sklearn.__version__}
    assert found == PINNED, f"expected {PINNED}, found {found}"
    draw = random.Random(20240603)
    cases = [classified([t for t in LABELS for _ in range(3)], ["Yes"] * 9),
             classified(["Yes", "Yes", "No"], ["No", "none", "No"]),
             classified(["Uncertain"] * 4, ["none"] * 4)]
    for size, weights in ((33, (1, 1, 1, 1)), (33, (8, 1, 1, 0)), (200, (3, 2, 4, 1)), (10, (1, 5, 1, 0))):
        truth = [draw.choice(LABELS) for _ in range(size)]
        guess = [draw.choices([*LABELS, "none"], weights)[0] for _ in range(size)]
        cases.append(classified(truth, [t if draw.random() < 0.4 else g for t, g in zip(truth, guess)]))
    logits = [1.0, 2.0, 0.5, -1.0, 3.0]
    golden = {
        "versions": found,
        "wilson": [wilson(c, n) for c, n in
                   ((0, 1), (1, 1), (0, 10), (10, 10), (1, 10), (4, 33), (17, 33), (33, 33), (250, 500), (997, 1000))],
        "classified": cases,
        "lengths": [lengths(v) for v in
                    ([7], [3, 9], [5, 1, 4], [draw.randint(1, 96) for _ in range(33)], [draw.randint(5, 60) for _ in range(100)])],
        "labels": {"logits": logits, "tokens": [0, 1, 3], "log_softmax": log_softmax(logits)[[0, 1, 3]].tolist(),
                   "softmax_of_three": softmax([logits[i] for i in (0, 1, 3)]).tolist()},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
