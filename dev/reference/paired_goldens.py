"""Writes the golden intervals of paired differences that crates/eval is checked against.

    pip install numpy==2.4.6 scipy==1.17.1
    python dev/reference/paired_goldens.py

Tango's score interval (Statistics in Medicine 1998, 17:891) by its definition, not by its closed form: the chance q of
a pair that the second alone has is found by maximising the likelihood numerically under the difference, and the ends
by a root finder. Versions: numpy 2.4.6, scipy 1.17.1. Same versions: same file,
crates/eval/tests/goldens/paired.json.
"""

import json
from pathlib import Path

import numpy
import scipy
from scipy.optimize import brentq
from scipy.stats import norm

PINNED = {"numpy": "2.4.6", "scipy": "1.17.1"}
OUT = Path(__file__).resolve().parents[2] / "crates" / "eval" / "tests" / "goldens" / "paired.json"


def most_likely(first, second, n, delta):
    """q that maximises first log(q + delta) + second log q + (n - first - second) log(1 - 2 q - delta)."""
    # The smaller of the two chances is s, between 0 and width.
    width = (1.0 - abs(delta)) / 2.0
    more, less = max(delta, 0.0), max(-delta, 0.0)

    def slope(s):
        return (first / (s + more) + second / (s + less)
                - (n - first - second) / (width - s))

    near = 1e-14 * width
    if slope(near) <= 0.0:
        return less
    if slope(width * (1.0 - 1e-14)) >= 0.0:
        return less + width
    return less + brentq(slope, near, width * (1.0 - 1e-14), xtol=1e-16, rtol=1e-14, maxiter=500)


def tango(first, second, n):
    """The 95 % interval of (first - second) / n."""
    z = norm.ppf(0.975)

    def statistic(delta):
        q = most_likely(first, second, n, delta)
        return (first - second - n * delta) / numpy.sqrt(n * (2.0 * q + delta - delta * delta))

    value = (first - second) / n
    edge = 1e-9
    low = -1.0 if value <= -1.0 else brentq(lambda d: statistic(d) - z, -1.0 + edge, value - edge, xtol=1e-14)
    high = 1.0 if value >= 1.0 else brentq(lambda d: statistic(d) + z, value + edge, 1.0 - edge, xtol=1e-14)
    return {"first": first, "second": second, "n": n, "low": low, "high": high}


def main():
    """Makes and writes the file."""
    found = {"numpy": numpy.__version__, "scipy": scipy.__version__}
    assert found == PINNED, f"expected {PINNED}, found {found}"
    cases = [(0, 0, 10), (0, 0, 33), (1, 0, 33), (0, 1, 33), (1, 1, 33), (3, 1, 33), (12, 2, 50), (40, 20, 160),
             (5, 0, 501), (9, 16, 501), (30, 60, 99), (33, 0, 33), (2, 7, 10)]
    golden = {"versions": found, "tango": [tango(*case) for case in cases]}
    OUT.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
