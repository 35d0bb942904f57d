"""The steps of `verdict build` on PubMedQA, written with the usual Python tools: json, re, datasketch.

    pip install datasketch==2.0.0 numpy
    python3 dev/reference/peers/pubmedqa_build.py OUT ori_pqal.json ori_pqaa.json ori_pqau.json

Reads, resolves mark-up, removes citations, takes the first sentence, drops equal questions, finds near ones (MinHash of
125 permutations of word pairs, LSH at 0.7 for questions and 0.8 for rationales), ties them with rows of one PMID or
abstract, splits by group and writes JSON lines. Fewer citation patterns than Verdict has, no segmenter, no protected
benchmark: less work, not more. Prints one JSON object.
"""

import hashlib
import html
import json
import random
import re
import sys
import time
from pathlib import Path

from datasketch import MinHash, MinHashLSH

CITATIONS = re.compile(
    r"https?://\S+|www\.\S+|\bPMC?I?D?s?:? ?\d{5,9}\b|\bdoi: ?\S+|\b10\.\d{4,9}/\S+|\bNCT\d{8}\b|\bISRCTN\d+\b"
    r"|\[\d{1,3}(?:[,–-] ?\d{1,3})*\]|[A-Z]\w+ et al\.?,? ?\(?(?:19|20)?\d{0,2}\)?"
)
TAGS = re.compile(r"</?[a-zA-Z][^>]*>")
BLANKS = re.compile(r"\s+")
LEAD = re.compile(r"^(yes|no|maybe)[,.;:]\s*", re.I)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def clean(text):
    text = TAGS.sub("", html.unescape(text)).replace("<or=", "≤ ").replace(">or=", "≥ ")
    return BLANKS.sub(" ", CITATIONS.sub("", text)).strip()


def shingles(text):
    words = [w.strip(".,;:?!\"'()[]") for w in text.lower().split()]
    return {f"{a} {b}".encode() for a, b in zip(words, words[1:])}


def main():
    started = time.time()
    rows, seen = [], {}
    for path in sys.argv[2:]:
        for pmid, row in json.load(open(path)).items():
            question = clean(row["QUESTION"])
            answer = SENTENCE.split(LEAD.sub("", clean(row["LONG_ANSWER"])), 1)[0]
            if len(question.split()) < 3 or len(answer.split()) < 3 or question.lower() in seen:
                continue
            seen[question.lower()] = pmid
            body = hashlib.sha256(" ".join(row["CONTEXTS"]).lower().encode()).hexdigest()
            rows.append((pmid, question, answer, row.get("final_decision"), body))
    read = time.time()
    parent = list(range(len(rows)))

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(a, b):
        a, b = root(a), root(b)
        parent[max(a, b)] = min(a, b)

    keys = {}
    for i, (pmid, _, _, _, body) in enumerate(rows):
        for key in (pmid, body):
            join(i, keys.setdefault(key, i))
    near = 0
    for column, share in ((1, 0.7), (2, 0.8)):
        lsh = MinHashLSH(threshold=share, num_perm=125)
        sets = [shingles(row[column]) for row in rows]
        kept = [i for i, s in enumerate(sets) if len(s) >= 5]
        signatures = MinHash.generator((sets[i] for i in kept), num_perm=125, seed=1)
        for i, signature in zip(kept, signatures):
            for j in lsh.query(signature):
                if len(sets[i] & sets[j]) >= share * len(sets[i] | sets[j]):
                    join(i, j)
                    near += 1
            lsh.insert(i, signature)
    tied = time.time()
    homes, draw = {}, random.Random(42)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    files = {name: open(out / f"{name}.jsonl", "w") for name in ("train", "validation", "test", "unlabelled")}
    for i, (pmid, question, answer, label, _) in enumerate(rows):
        home = homes.setdefault(root(i), draw.choices(("train", "validation", "test"), (8, 1, 1))[0])
        item = {"id": pmid, "question": question, "label": label, "rationale": answer, "group": root(i)}
        if label is None:
            # Set apart, unless it is tied to what is not trained on.
            if home != "train":
                continue
            home = "unlabelled"
            del item["label"]
        files[home].write(json.dumps(item) + "\n")
    for file in files.values():
        file.close()
    ended = time.time()
    print(json.dumps({"rows": len(rows), "near_pairs": near, "read_clean_s": round(read - started, 1),
                      "near_s": round(tied - read, 1), "total_s": round(ended - started, 1)}))


if __name__ == "__main__":
    main()
