"""Writes the golden figures that crates/eval's screening statistics are checked against.

    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
    python dev/reference/screening_goldens.py

AUROC and average precision by scikit-learn. Work saved over sampling by its definition (Cohen et al. 2006), at every
threshold in turn. The certified threshold by scipy's binomial distribution. Seed 20240605. Same versions: same file,
crates/eval/tests/goldens/screening.json.
"""

import json
from pathlib import Path

import numpy
import scipy
import sklearn
from scipy.stats import binom
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

OUT = Path(__file__).resolve().parents[2] / "crates" / "eval" / "tests" / "goldens" / "screening.json"
DRAW = numpy.random.default_rng(20240605)


def work_saved(included, scores):
    """WSS@95 and its threshold: the highest at which at least 95 % of the included records are kept."""
    for threshold in sorted(set(scores), reverse=True):
        kept = scores >= threshold
        tn, fp, fn, tp = confusion_matrix(included, kept, labels=[False, True]).ravel()
        if tp >= 0.95 * (tp + fn) - 1e-9:
            return (tn + fn) / len(scores) - 0.05, threshold
    raise AssertionError("the lowest threshold keeps everything")


def certified(included, scores, target, delta):
    """The k-th lowest score of the included records, k the largest with P(Bin(n, 1 - target) <= k - 1) <= delta."""
    found = numpy.sort(scores[included])
    k = sum(binom.cdf(k - 1, len(found), 1 - target) <= delta for k in range(1, len(found) + 1))
    return float(found[k - 1]) if k else None


def screened(size, share, decimals):
    """Records with scores that separate them somewhat, rounded for ties."""
    included = DRAW.random(size) < share
    scores = 1 / (1 + numpy.exp(-DRAW.normal(numpy.where(included, 1.0, -1.0), 1.3)))
    scores = scores if decimals is None else scores.round(decimals)
    saved, threshold = work_saved(included, scores)
    return {"included": included.tolist(), "scores": scores.tolist(), "auroc": roc_auc_score(included, scores),
            "average_precision": average_precision_score(included, scores), "work_saved": saved,
            "work_saved_threshold": threshold,
            "certified": [{"target": t, "delta": d, "threshold": certified(included, scores, t, d)}
                          for t, d in ((0.95, 0.05), (0.9, 0.05), (0.8, 0.1))]}


def main():
    """Makes and writes the file."""
    golden = {"versions": {"numpy": numpy.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__},
              "screened": [screened(40, 0.3, None), screened(120, 0.2, 1), screened(700, 0.25, 2),
                           screened(300, 0.5, None)]}
    OUT.write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
