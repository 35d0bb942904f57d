"""Turns PubMedQA's JSON (ori_pqal.json, ori_pqaa.json, ori_pqau.json) into Parquet, laid out as the Hugging Face hub's
files of qiaojin/PubMedQA are: the same columns and types, packed by snappy, 1,000 rows in a group.

    python3 dev/reference/pubmedqa_parquet.py ori_pqal.json OUT.parquet        # pyarrow 26.0.1
"""

import argparse
import json

import pyarrow
import pyarrow.parquet


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("published")
    parser.add_argument("out")
    args = parser.parse_args()
    rows = json.load(open(args.published))
    text, texts = pyarrow.string(), pyarrow.list_(pyarrow.string())
    # The labelled part says how its labels were predicted; the others do not.
    predicted = all("reasoning_required_pred" in row for row in rows.values())
    lists = ["contexts", "labels", "meshes"] + ["reasoning_required_pred", "reasoning_free_pred"] * predicted
    labelled = any("final_decision" in row for row in rows.values())
    fields = [("pubid", pyarrow.int32()), ("question", text), ("context", pyarrow.struct([(name, texts) for name in lists]))]
    fields += [("long_answer", text)] + [("final_decision", text)] * labelled

    def made(pmid, row):
        context = {name: list(row.get(name.upper() if name in lists[:3] else name, [])) for name in lists}
        made = {"pubid": int(pmid), "question": row["QUESTION"], "context": context, "long_answer": row["LONG_ANSWER"]}
        return {**made, "final_decision": row["final_decision"]} if labelled else made

    table = pyarrow.Table.from_pylist([made(*row) for row in rows.items()], schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(table, args.out, compression="snappy", row_group_size=1000)
    print(f"{args.out}: {table.num_rows} rows")


if __name__ == "__main__":
    main()
