"""Writes PubMedQA's artificial or unlabelled part in its real size, layout and lengths, from the rows of the labelled part.

    python3 dev/reference/pubmedqa_scale.py ori_pqal.json pqaa.json [--rows 211269] [--near 0.02] [--seed 42]
    python3 dev/reference/pubmedqa_scale.py ori_pqal.json pqau.json --rows 61249 --unlabelled --seed 43

Each row takes a real question, conclusion and abstract and trades words of them for words of other real rows, so that
lengths and vocabulary are PubMed's and no two rows are equal. A share of --near rows keeps all words of an earlier row's
question but one: near copies, to be found. 92.8 % are yes, as in the published file; unlabelled rows have no decision.
No MeSH terms are traded.
"""

import argparse
import json
import random


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labelled")
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, default=211_269)
    parser.add_argument("--near", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--unlabelled", action="store_true")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    rows = list(json.load(open(args.labelled)).values())
    words = sorted({w for row in rows for w in row["QUESTION"].split() if len(w) > 4 and w.isalpha()})

    def traded(text, share):
        return " ".join(draw.choice(words) if len(w) > 4 and w.isalpha() and draw.random() < share else w for w in text.split())

    asked = []
    with open(args.out, "w") as out:
        out.write("{")
        for n in range(args.rows):
            row = draw.choice(rows)
            if asked and draw.random() < args.near:
                question = draw.choice(asked).split()
                question[draw.randrange(len(question) - 1)] = draw.choice(words)
                question = " ".join(question)
            else:
                question = traded(row["QUESTION"], 0.6)
                if len(asked) < 10_000:
                    asked.append(question)
            row = {
                **row,
                "QUESTION": question,
                "CONTEXTS": [traded(text, 0.2) for text in row["CONTEXTS"]],
                "LONG_ANSWER": traded(row["LONG_ANSWER"], 0.4),
                "final_decision": "yes" if draw.random() < 0.928 else "no",
            }
            if args.unlabelled:
                del row["final_decision"]
            pmid = (args.seed - 2) * 1_000_000 + n
            out.write(("" if n == 0 else ",\n") + json.dumps(str(pmid)) + ": " + json.dumps(row))
        out.write("}\n")


if __name__ == "__main__":
    main()
