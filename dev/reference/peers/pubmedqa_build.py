r"""The steps of `verdict build --unbalanced` on PubMedQA and BioASQ, written with the usual Python tools: json, re,
hashlib, datasketch.

    pip install datasketch==2.0.0 numpy
    python3 dev/reference/peers/pubmedqa_build.py OUT crates/data/src/rules.toml crates/data/src/pubmedqa_test.txt \
        BIOASQ-FOLDER ori_pqal.json ori_pqaa.json ori_pqau.json

The rules are Verdict's own file, applied as Verdict applies them: mark-up, citations (a quick look first), label words,
study-speak. Then the first sentence (a short expression, not Verdict's segmenter: less work), equal questions and
disputed ones, near ones (MinHash of 125 permutations of word pairs, LSH at 0.7 for questions and 0.8 for rationales,
each pair checked), groups by PMID, abstract, question and nearness, the protected benchmark, a split by group, JSON
lines, SHA-256 of every file read and written, naive Bayes on the words of 100,000 questions. No manifest of rules and no
card. Prints one JSON object.
"""

import hashlib
import html
import json
import math
import random
import re
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

from datasketch import MinHash, MinHashLSH

BLANKS = re.compile(r"\s+")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def expression(pattern):
    """A pattern of Rust's engine for Python's: flags for the whole come first, which both take."""
    return re.compile(pattern)


class Rules:
    def __init__(self, path):
        rules = tomllib.load(open(path, "rb"))
        self.markup = [(expression(a), b) for a, b in rules["markup"]["replace"]]
        self.quick = expression(rules["citations"]["quick"])
        self.citations = [expression(p) for kind in rules["citations"]["patterns"].values() for p in kind]
        self.lead_in = expression(rules["answers"]["lead_in"])
        self.study_speak = [expression(p) for p in rules["answers"]["study_speak"]]
        self.label_words = [expression(p) for p in rules["answers"]["label_words"]]

    def mend(self, text):
        text = html.unescape(text)
        for pattern, instead in self.markup:
            text = pattern.sub(instead, text)
        return BLANKS.sub(" ", text).strip()

    def uncited(self, text):
        if not self.quick.search(text):
            return text
        for pattern in self.citations:
            text = pattern.sub("", " " + text).strip()
        return text

    def rationale(self, answer):
        text = self.uncited(self.mend(answer))
        lead = self.lead_in.match(text)
        text = text[lead.end():] if lead else text
        text = SENTENCE.split(text, maxsplit=1)[0]
        for pattern in self.study_speak:
            found = pattern.match(text)
            text = text[found.end():] if found else text
        for pattern in self.label_words:
            text = pattern.sub("", text)
        return text[:1].upper() + text[1:]


def words(text):
    return [w for w in (w.strip(".,;:?!\"'`()[]{}“”‘’") for w in text.lower().split()) if w]


def shingles(text):
    w = words(text)
    return {f"{a} {b}".encode() for a, b in zip(w, w[1:])}


def read(path):
    """The file's object; its bytes are hashed as Verdict hashes them."""
    data = Path(path).read_bytes()
    hashlib.sha256(data).hexdigest()
    return json.loads(data)


def published(paths, bioasq):
    for path in paths:
        for pmid, row in read(path).items():
            body = "".join(c for c in " ".join(row["CONTEXTS"]).lower() if c.isalnum())
            keys = ["pmid:" + pmid, "abstract:" + hashlib.sha256(body.encode()).hexdigest()]
            yield pmid, row["QUESTION"], row["LONG_ANSWER"], row.get("final_decision"), keys
    for path in sorted(Path(bioasq).glob("*.json")):
        for row in read(path)["questions"]:
            if row["type"] == "yesno":
                first = lambda text: text if isinstance(text, str) else text[0]
                keys = ["pmid:" + url.rsplit("/", 1)[1] for url in row["documents"]]
                yield row["id"], row["body"], first(row["ideal_answer"]), first(row["exact_answer"]).lower(), keys


def artefact(rows):
    """Five-fold naive Bayes on the words of the question."""
    rows = rows[:100_000]
    seen = [(set(words(question)), label, int(hashlib.sha256(str(group).encode()).hexdigest()[:4], 16) % 5)
            for question, label, group in rows]
    labels = sorted({label for _, label, _ in seen})
    right = 0
    for fold in range(5):
        counts = {label: Counter() for label in labels}
        prior = Counter()
        for question, label, of in seen:
            if of != fold:
                counts[label].update(question)
                prior[label] += 1
        known = len(set().union(*counts.values()))
        total = {label: sum(counts[label].values()) + known for label in labels}
        for question, label, of in seen:
            if of == fold:
                score = lambda l: math.log(prior[l] + 1) + sum(math.log((counts[l][w] + 1) / total[l]) for w in question)
                right += max(labels, key=score) == label
    return right / max(len(seen), 1)


def main():
    started = time.time()
    out, rules, protected, bioasq, paths = sys.argv[1], Rules(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]
    asked = {"pmid:" + line.strip() for line in open(protected) if line.strip() and not line.startswith("#")}
    rows, seen, disputed = [], {}, set()
    for name, question, answer, label, keys in published(paths, bioasq):
        question = rules.uncited(rules.mend(question))
        rationale = rules.rationale(answer)
        if len(question.split()) < 3 or len(rationale.split()) < 3:
            continue
        key = " ".join(words(question))
        if key in seen:
            first = seen[key]
            if label and rows[first][3] and rows[first][3] != label:
                disputed.add(first)
            rows[first][4].extend(keys)
            continue
        seen[key] = len(rows)
        rows.append([name, question, rationale, label, keys])
    rows = [row for i, row in enumerate(rows) if i not in disputed]
    cleaned = time.time()
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
    for i, row in enumerate(rows):
        for key in row[4]:
            join(i, keys.setdefault(key, i))
    near, suspects = 0, 0
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
                    suspects += column == 1 and rows[i][3] != rows[j][3]
            lsh.insert(i, signature)
    tied = time.time()
    out_of_bounds = {root(i) for i, row in enumerate(rows) if asked & set(row[4])}
    homes, draw = {}, random.Random(42)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    names = ("train", "validation", "test", "unlabelled")
    lines = {name: [] for name in names}
    asked_about = []
    for i, (name, question, rationale, label, _) in enumerate(rows):
        group = root(i)
        if group in out_of_bounds:
            continue
        home = homes.setdefault(group, draw.choices(names[:3], (8, 1, 1))[0])
        text = f"Q: {question}\nA: {label}. Rationale: {rationale}"
        item = {"id": name, "question": question, "label": label, "rationale": rationale, "group": group, "text": text}
        if label is None:
            # Set apart, unless it is tied to what is not trained on.
            if home != "train":
                continue
            home = "unlabelled"
            del item["label"], item["text"]
        else:
            asked_about.append((question, label, group))
        lines[home].append(json.dumps(item, ensure_ascii=False))
    for name in names:
        draw.shuffle(lines[name])
        data = ("\n".join(lines[name]) + "\n").encode()
        hashlib.sha256(data).hexdigest()
        (out / f"{name}.jsonl").write_bytes(data)
    written = time.time()
    guessed = artefact(asked_about)
    ended = time.time()
    print(json.dumps({"rows": len(rows), "near_pairs": near, "suspects": suspects, "artefact": round(guessed, 4),
                      "read_clean_s": round(cleaned - started, 1), "near_s": round(tied - cleaned, 1),
                      "write_s": round(written - tied, 1), "artefact_s": round(ended - written, 1),
                      "total_s": round(ended - started, 1)}))


if __name__ == "__main__":
    main()
