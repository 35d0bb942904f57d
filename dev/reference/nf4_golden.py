"""Writes crates/kernels/src/linear/tests/nf4.json: weights in NF4 as bitsandbytes has them.

    pip install torch bitsandbytes
    python3 dev/reference/nf4_golden.py
"""

import json
from pathlib import Path

import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit

ROWS, COLUMNS = 4, 128

generator = torch.Generator().manual_seed(7)
weights = torch.randn(ROWS, COLUMNS, generator=generator) * 0.05
weights[1, 64:] *= 30
weights[2, :64] = 0
weights = weights.to(torch.bfloat16)
packed, state = quantize_4bit(weights, blocksize=64, quant_type="nf4", compress_statistics=False)
unpacked = dequantize_4bit(packed, state)
assert unpacked.dtype == torch.bfloat16

golden = {
    "rows": ROWS,
    "columns": COLUMNS,
    "weights": weights.float().flatten().tolist(),
    "packed": packed.flatten().tolist(),
    "largest": state.absmax.tolist(),
    "unpacked": unpacked.float().flatten().tolist(),
}
out = Path(__file__).parents[2] / "crates/kernels/src/linear/tests/nf4.json"
out.write_text(json.dumps(golden) + "\n")
print(f"{out}: {len(golden['packed'])} bytes of {ROWS} x {COLUMNS} weights")
