"""Writes the golden figures of calibration: crates/answer/src/tests/calibration.json.

    pip install numpy==2.4.6 scipy==1.17.1
    python dev/reference/calibration_golden.py

The objective and the rows are those of crates/answer/src/calibration.rs; scipy finds the minimum twice, by gradients and
then without them.
"""

import json
from pathlib import Path

import numpy
from scipy.optimize import minimize

OUT = Path(__file__).resolve().parents[2] / "crates" / "answer" / "src" / "tests" / "calibration.json"


def rows():
    """Forty rows of a model that is too sure of itself and leans towards Yes; right in three of four."""
    made = []
    for n in range(40):
        logits = [2.0 + n % 5, 0.5, 0.25 * (n % 7)]
        if n % 4:
            logits[n % 3] += 4.0
        made.append((numpy.array(logits), n % 3))
    return made


def objective(parameters, data):
    """Sum of -ln p[truth] and the prior; parameters are 1/T and, where fitted, the biases."""
    bias = parameters[1:] if len(parameters) > 1 else numpy.zeros(3)
    loss = 0.0
    for logits, truth in data:
        z = parameters[0] * logits + bias
        most = z.max()
        loss += most + numpy.log(numpy.exp(z - most).sum()) - z[truth]
    return loss + ((parameters[0] - 1) ** 2 + (bias**2).sum()) / 18


def main():
    """Makes and writes the file."""
    data, golden = rows(), {}
    for name, free in (("temperature", 1), ("bias", 4)):
        start = numpy.array([1.0, 0.0, 0.0, 0.0])[:free]
        found = minimize(objective, start, args=(data,), method="BFGS", options={"gtol": 1e-9})
        found = minimize(objective, found.x, args=(data,), method="Nelder-Mead",
                         options={"xatol": 1e-11, "fatol": 1e-14, "maxiter": 40_000, "maxfev": 80_000})
        bias = found.x[1:] - found.x[1:].mean() if free > 1 else numpy.zeros(3)
        golden[name] = {"temperature": float(1 / found.x[0]), "bias": bias.tolist()}
    OUT.write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
