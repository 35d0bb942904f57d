"""Does Hugging Face's own reader take a model card that Verdict wrote?

    python dev/reference/check_card.py RUN/adapters/NAME [--peft]

Loads README.md with huggingface_hub's ModelCard, checks that its metadata survive ModelCardData there
and back, that the figures of model-index are read as evaluation results, and that the pipeline tag is
one that the hub knows. With --peft also that PEFT loads the folder's config beside the card. Prints one
JSON object; exit status 0 taken, 1 not.
"""

import argparse
import json
import sys
from pathlib import Path

import huggingface_hub
from huggingface_hub import ModelCard

# Keys of the hub's `modelcard.md` and "Model Cards" page.
KNOWN = {
    "base_model", "base_model_relation", "datasets", "language", "library_name", "license",
    "metrics", "model-index", "pipeline_tag", "tags",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--peft", action="store_true")
    args = parser.parse_args()
    card = ModelCard.load(args.adapter / "README.md", ignore_metadata_errors=False)
    data = card.data.to_dict()
    faults = []
    unknown = sorted(set(data) - KNOWN)
    if unknown:
        faults.append(f"unknown keys: {unknown}")
    again = ModelCard(card.content).data.to_dict()
    if again != data:
        faults.append("metadata change when they are written and read again")
    results = [
        {
            "task": result.task_type,
            "dataset": result.dataset_name,
            "metric": result.metric_type,
            "value": result.metric_value,
        }
        for result in card.data.eval_results or []
    ]
    if "model-index" in data and not results:
        faults.append("model-index gives no evaluation result")
    if data.get("library_name") != "peft" or data.get("pipeline_tag") != "text-generation":
        faults.append("expected library_name peft and pipeline_tag text-generation")
    if not card.text.lstrip().startswith("# "):
        faults.append("expected a heading after the metadata")
    if args.peft:
        from peft import PeftConfig

        config = PeftConfig.from_pretrained(str(args.adapter))
        if config.peft_type.value != "LORA":
            faults.append(f"PEFT reads the folder as {config.peft_type}")
    found = {
        "huggingface_hub": huggingface_hub.__version__,
        "metadata": data,
        "results": results,
        "faults": faults,
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
