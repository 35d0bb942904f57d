"""Writes the golden figures that crates/eval's statistics are checked against.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 scikit-learn==1.9.1
    python dev/reference/statistics_goldens.py

Versions: Python 3.11, numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, scikit-learn 1.9.1. Seed 20240604.
Same versions: same file, crates/eval/tests/goldens/statistics.json.
"""

import json
import warnings
from math import sqrt
from pathlib import Path

import numpy
import scipy
import sklearn
import statsmodels
from eval_goldens import LABELS, PINNED
from scipy.optimize import brentq
from scipy.stats import binom, bootstrap, norm, t
from sklearn.calibration import calibration_curve
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, precision_recall_fscore_support
from sklearn.naive_bayes import MultinomialNB
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

OUT = Path(__file__).resolve().parents[2] / "crates" / "eval" / "tests" / "goldens" / "statistics.json"
DRAW = numpy.random.default_rng(20240604)


def scored(size, right, group):
    """Answers ("none": no readable label), each label's scores, and a group for each row."""
    truth = DRAW.choice(LABELS, size, p=[0.5, 0.3, 0.2])
    answers = numpy.where(DRAW.random(size) < right, truth, DRAW.choice([*LABELS, "none"], size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # answers "none" never occur in the truth
        each = precision_recall_fscore_support(truth, answers, labels=LABELS, zero_division=0)
        balanced = balanced_accuracy_score(truth, answers)
    return {"truth": truth.tolist(), "answers": answers.tolist(),
            "groups": (numpy.arange(size) // group).tolist(),
            "balanced_accuracy": balanced,
            "macro_f1": f1_score(truth, answers, labels=sorted(set(truth)), average="macro", zero_division=0),
            "precision": each[0].tolist(), "recall": each[1].tolist(), "f1": each[2].tolist()}


def intervals(values, size, replicates):
    """scipy's percentile and BCa intervals of a mean: at 95 % from a distribution that is given, and freshly drawn at
    the level of Hesterberg's expanded intervals."""
    n = len(values)
    reach = sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)
    drawn = numpy.sort(DRAW.choice(values, (size, n)).mean(axis=1))
    given = bootstrap((values,), numpy.mean, n_resamples=size, method="percentile", rng=1)
    given.bootstrap_distribution = drawn
    ends = {}
    for method in ("percentile", "BCa"):
        exact = bootstrap((values,), numpy.mean, n_resamples=0, method=method, bootstrap_result=given)
        free = bootstrap((values,), numpy.mean, n_resamples=replicates, method=method, rng=2,
                         confidence_level=2 * norm.cdf(reach) - 1)
        ends[method.lower()] = {"given": list(exact.confidence_interval), "drawn": list(free.confidence_interval)}
    left_out = [numpy.delete(values, i).mean() for i in range(n)]
    return {"values": values.tolist(), "value": values.mean(), "distribution": drawn.tolist(),
            "left_out": left_out, "reach": reach, "replicates": replicates, **ends}


def forecasts(size, ties):
    """Probabilities judged; with ties, of few different rows."""
    p = DRAW.dirichlet([0.6, 0.6, 0.6], size)
    if ties:
        p = p[DRAW.integers(0, 6, size)]
    p[0], p[1] = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]
    truth = numpy.array([DRAW.choice(3, p=row) for row in 0.6 * p + 0.4 / 3])
    truth[1] = 2  # a probability of 0 for the truth is clipped
    is_truth = numpy.eye(3)[truth]
    top, right = p.max(axis=1), p.argmax(axis=1) == truth
    bins = max(1, round(size ** (1 / 3)))
    accuracy, confidence = calibration_curve(right, top, n_bins=bins, strategy="quantile")
    edges = numpy.percentile(top, numpy.linspace(0, 1, bins + 1) * 100)
    counts = numpy.bincount(numpy.searchsorted(edges[1:-1], top), minlength=bins)
    counts = counts[counts > 0]
    return {"truth": [LABELS[i] for i in truth], "probabilities": p.tolist(),
            "log_loss": log_loss(truth, p, labels=[0, 1, 2]),
            "brier": float(((p - is_truth) ** 2).sum(axis=1).mean()),
            "ece": float((counts * abs(accuracy - confidence)).sum() / size),
            "bins": [{"confidence": c, "accuracy": a, "n": int(n)} for c, a, n in zip(confidence, accuracy, counts)]}


def smallest_difference(n, discordant):
    """The difference that the exact McNemar test finds with a chance of 0.8, and Connor's approximation."""
    def power(difference):
        total = 0.0
        for rows in range(n + 1):
            counts = numpy.arange(rows + 1)
            p = numpy.minimum(1, 2 * binom.cdf(counts, rows, 0.5))
            rejected = counts[(p <= 0.05) & (2 * counts < rows)]
            worse = 0.5 - difference / (2 * discordant)
            total += binom.pmf(rows, n, discordant) * binom.pmf(rejected, rows, worse).sum()
        return total

    def connor(d):
        return (norm.ppf(0.975) * sqrt(discordant) + norm.ppf(0.8) * sqrt(discordant - d * d)) ** 2 / (d * d) - n

    exact = brentq(lambda d: power(d) - 0.8, 1e-9, discordant, xtol=1e-12) if power(discordant) >= 0.8 else None
    near = brentq(connor, 1e-6, discordant) if connor(discordant) < 0 else None
    return {"n": n, "discordant": discordant, "exact": exact, "connor": near}


def words():
    """Naive Bayes on whether a word occurs, priors with one row added for each label."""
    names = "liver lung heart drug dose safe never often rarely trial death pain".split()
    questions = [" ".join(DRAW.choice(names[:9], 5)) for _ in range(24)]
    labels = DRAW.integers(0, 3, 24)
    labels[labels == 2] = numpy.where(DRAW.random((labels == 2).sum()) < 0.5, 2, 0)
    asked = [" ".join(DRAW.choice(names, 5)) for _ in range(12)]
    counter = CountVectorizer(binary=True).fit(questions)
    prior = (numpy.bincount(labels, minlength=3) + 1) / (len(labels) + 3)
    bayes = MultinomialNB(alpha=1.0, class_prior=prior).fit(counter.transform(questions), labels)
    return {"questions": questions, "labels": [LABELS[i] for i in labels], "asked": asked,
            "probabilities": bayes.predict_proba(counter.transform(asked)).tolist()}


def main():
    """Makes and writes the file."""
    found = {"numpy": numpy.__version__, "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
             "scikit-learn": sklearn.__version__}
    assert found == PINNED, f"expected {PINNED}, found {found}"
    tables = [(0, 0), (1, 0), (5, 0), (6, 0), (3, 9), (12, 12), (20, 41), (150, 100)]
    p_values = [[0.01], [0.04, 0.01, 0.03], [0.2, 0.01, 0.01, 0.9, 0.0001], [1.0, 0.6, 0.7]]
    golden = {
        "versions": found,
        "scored": [scored(33, 0.5, 1), scored(60, 0.7, 3), scored(4, 0.0, 1)],
        "intervals": [intervals(numpy.round(DRAW.exponential(size=20), 3), 401, 20_000),
                      intervals((DRAW.random(33) < 0.8).astype(float), 401, 20_000)],
        "forecasts": [forecasts(33, False), forecasts(100, False), forecasts(60, True)],
        "mcnemar": [{"first": b, "second": c, "p": mcnemar([[7, b], [c, 7]], exact=True).pvalue} for b, c in tables],
        "holm": [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in p_values],
        "smallest_difference": [smallest_difference(n, d) for n, d in
                                ((33, 0.1), (33, 0.4), (100, 0.25), (500, 0.1), (500, 0.3))],
        "clopper_pearson": [{"count": c, "total": n, "upper": proportion_confint(c, n, alpha=0.2, method="beta")[1]}
                            for c, n in ((0, 22), (1, 38), (5, 100), (17, 33))],
        "words": words(),
    }
    OUT.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
