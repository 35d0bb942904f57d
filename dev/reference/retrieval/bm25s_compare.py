r"""Retrieval beside bm25s (and Lucene, through pyserini, where it is installed), judged by the same code.

    python -m venv venv && venv/bin/pip install bm25s PyStemmer numpy scipy
    venv/bin/python bm25s_compare.py write DATA FOLDER        # documents.jsonl, bioasq.jsonl, pubmedqa.jsonl
    cargo run --release -p verdict-evidence --example rank -- \
        "jsonl:FOLDER/documents.jsonl?text=abstract" FOLDER/bioasq.jsonl INDEX RUN
    venv/bin/python bm25s_compare.py judge FOLDER/bioasq.jsonl RUN
    venv/bin/python bm25s_compare.py bm25s FOLDER/documents.jsonl FOLDER/bioasq.jsonl RUN   # the peer's run and times
    venv/bin/python bm25s_compare.py lengthen FOLDER/documents.jsonl 1000000 LARGE.jsonl    # sentences mixed, for times

DATA is the folder with `bioasq`, `bioasq-11` and `pubmedqa/ori_pqal.json`. Documents are the abstracts of PubMedQA
(title empty, with `--conclusions` the conclusion too) and, for every address that BioASQ's snippets cite, the
snippets, each once, in their order in the abstract. Queries are BioASQ's yes/no questions, whose relevant documents
are those it lists, and PubMedQA's questions, whose relevant document is their abstract.
"""

import glob
import json
import math
import random
import re
import sys
import time


def rows(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def save(path, values):
    with open(path, "w", encoding="utf-8") as out:
        for value in values:
            out.write(json.dumps(value, ensure_ascii=False) + "\n")


def bioasq(data):
    snippets, queries = {}, []
    for path in sorted(glob.glob(f"{data}/bioasq*/*_golden.json")):
        edition = int(re.match(r".*/(\d+)B", path).group(1))
        with open(path, encoding="utf-8") as file:
            questions = json.load(file)["questions"]
        for question in questions:
            for snippet in question["snippets"]:
                number = snippet["document"].rsplit("/", 1)[1]
                place = (snippet["offsetInBeginSection"], snippet["text"])
                snippets.setdefault(number, {}).setdefault(snippet["beginSection"], set()).add(place)
            if question["type"] == "yesno":
                relevant = sorted({address.rsplit("/", 1)[1] for address in question["documents"]})
                queries.append({"id": question["id"], "text": question["body"], "relevant": relevant, "edition": edition})
    text = lambda parts: " ".join(dict.fromkeys(t for _, t in sorted(parts)))
    documents = [
        {"id": number, "title": text(parts.get("title", ())), "abstract": text(parts.get("abstract", ()))}
        for number, parts in sorted(snippets.items())
    ]
    return documents, queries


def write(data, folder, conclusions):
    documents, queries = bioasq(data)
    have = {document["id"] for document in documents}
    with open(f"{data}/pubmedqa/ori_pqal.json", encoding="utf-8") as file:
        labeled = json.load(file)
    questions = []
    for number, row in labeled.items():
        parts = row["CONTEXTS"] + ([row["LONG_ANSWER"]] if conclusions else [])
        if number not in have:
            documents.append({"id": number, "title": "", "abstract": " ".join(parts)})
        questions.append({"id": number, "text": row["QUESTION"], "relevant": [number], "edition": 0})
    save(f"{folder}/documents.jsonl", documents)
    save(f"{folder}/bioasq.jsonl", queries)
    save(f"{folder}/pubmedqa.jsonl", questions)
    print(len(documents), "documents,", len(queries), "and", len(questions), "queries")


def dcg(gains):
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def judged(queries, run):
    """Means over queries: recall at 1, 5 and 10, nDCG at 10, with binary relevance."""
    totals = [0.0] * 4
    for query in queries:
        relevant, found = set(query["relevant"]), run[query["id"]]
        hits = [float(number in relevant) for number in found]
        for place, k in enumerate((1, 5, 10)):
            totals[place] += sum(hits[:k]) / len(relevant)
        totals[3] += dcg(hits[:10]) / dcg([1.0] * min(10, len(relevant)))
    return [total / len(queries) for total in totals]


def judge(path, run):
    queries = rows(path)
    found = {row["id"]: row["found"] for row in rows(run)}
    for name, part in (
        ("all", queries),
        ("editions 7 to 9", [query for query in queries if 7 <= query["edition"] <= 9]),
        ("editions 10 and 11", [query for query in queries if query["edition"] >= 10]),
    ):
        if part:
            r1, r5, r10, ndcg = judged(part, found)
            print(f"{name:<18} n {len(part):>4}  R@1 {r1:.4f}  R@5 {r5:.4f}  R@10 {r10:.4f}  nDCG@10 {ndcg:.4f}")


def peer(documents, queries, run):
    import bm25s
    import Stemmer

    documents, queries = rows(documents), rows(queries)
    stemmer = Stemmer.Stemmer("english")
    start = time.perf_counter()
    texts = [f"{document['title']} {document['abstract']}" for document in documents]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    print(f"bm25s: {len(documents)} documents in {time.perf_counter() - start:.1f} s")
    times, found = [], []
    for query in queries:
        start = time.perf_counter()
        tokens = bm25s.tokenize(query["text"], stopwords="en", stemmer=stemmer, show_progress=False)
        places, _ = index.retrieve(tokens, k=10, show_progress=False)
        times.append(1e3 * (time.perf_counter() - start))
        found.append({"id": query["id"], "found": [documents[place]["id"] for place in places[0]]})
    save(run, found)
    times.sort()
    print(f"{len(times)} queries: p50 {times[len(times) // 2]:.2f} ms, p99 {times[int(0.99 * len(times))]:.2f} ms")


def lengthen(documents, count, out):
    """Abstracts of sentences drawn from all abstracts, with PubMed's lengths (about 200 words), and a title each."""
    draw = random.Random(1)
    sentences = []
    for document in rows(documents):
        sentences += [s for s in re.split(r"(?<=[.?!]) (?=[A-Z])", document["abstract"]) if 20 < len(s) < 400]
    titles = [document["title"] for document in rows(documents) if document["title"]]
    with open(out, "w", encoding="utf-8") as lines:
        for number in range(count):
            words, parts = draw.randint(120, 280), []
            while words > 0:
                parts.append(draw.choice(sentences))
                words -= parts[-1].count(" ") + 1
            row = {"id": str(50_000_000 + number), "title": draw.choice(titles), "abstract": " ".join(parts)}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    conclusions = "--conclusions" in arguments
    arguments = [argument for argument in arguments if argument != "--conclusions"]
    if command == "write":
        write(*arguments, conclusions)
    elif command == "judge":
        judge(*arguments)
    elif command == "bm25s":
        peer(*arguments)
    elif command == "lengthen":
        lengthen(arguments[0], int(arguments[1]), arguments[2])
    else:
        sys.exit(__doc__)
