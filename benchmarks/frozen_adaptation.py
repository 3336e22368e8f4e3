"""Self-training and co-training of a linear head on frozen features, without Chinese labels.

    python benchmarks/frozen_adaptation.py --data DATA --results adaptation.jsonl

Every set is encoded once; a seed draws four fifths of the English rows and of the Chinese text.
*zero-shot* is a head fitted on the English rows; *self-trained* and *co-trained* are the same after
``self_train_head`` and ``co_train_head`` on the text of the domain's ``train`` split (labels never
read); *supervised* is a head fitted on its labels, the ceiling of frozen features. Prints mean and
standard deviation over the seeds in Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from datasets import Dataset
from results import percent, read_rows, spread

from xlingual import FrozenEncoder, LabelSpace, get_task
from xlingual.evaluation import gap_recovered
from xlingual.transfer.data.co_training import co_train_head
from xlingual.transfer.model.linear_head import fit_linear, fuse_features
from xlingual.transfer.model.linear_self_training import self_train_head

REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
SETS = {
    name: ("sequence", ["reviews/en.train"], f"reviews/zh_{name}.train", f"reviews/zh_{name}.test")
    for name in REVIEWS
}
SETS["topic"] = ("sequence", ["topic/en.train"], "topic/zh.train", "topic/zh.test")
SETS["nli"] = (
    "pair", ["nli/en.train", "nli/en_sick.train"], "nli/zh_ocnli.train", "nli/zh_xnli.dev",
)  # fmt: skip
KINDS = ("zero-shot", "self-trained", "co-trained", "supervised")
STRENGTH = 1e-2


def main() -> None:
    """Run the missing sets, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with reviews/, topic/...")
    parser.add_argument("--results", default="frozen_adaptation.jsonl", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--max_length", type=int, default=256, help="tokens of a row")
    parser.add_argument(
        "--model", nargs="+", help="folder or hub id, several are fused; default: the embedded one"
    )
    arguments = parser.parse_args()
    encoded: dict[str, tuple] = {}
    done = {(row["set"], row["seed"]) for row in read_rows(arguments.results)}
    for name in arguments.sets:
        for seed in (seed for seed in arguments.seeds if (name, seed) not in done):
            row = {"set": name, "seed": seed} | cell(name, seed, arguments, encoded)
            print(row, flush=True)
            with arguments.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    print("\n".join(table(read_rows(arguments.results))))


def cell(name: str, seed: int, arguments: argparse.Namespace, encoded: dict[str, tuple]) -> dict:
    """One set and seed: the accuracy of the heads, and the seconds that the adapted ones took."""
    task, sources, target, test = SETS[name]
    generator = np.random.default_rng(seed)
    parts = [encode(spec, task, arguments, encoded) for spec in sources]
    features, labels = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    drawn = draw(len(labels), generator)
    common = {"num_labels": int(labels.max()) + 1, "strength": STRENGTH}
    head = fit_linear(features[drawn], labels[drawn], **common)
    features, labels, texts = encode(target, task, arguments, encoded)
    drawn = draw(len(labels), generator)
    features, labels, texts = features[drawn], labels[drawn], texts.select(drawn)
    adapt = {
        "self-trained": lambda: self_train_head(head, features),
        "co-trained": lambda: co_train_head(head, features, texts),
    }
    heads = {"zero-shot": head, "supervised": fit_linear(features, labels, **common)}
    seconds = {}
    for kind, run in adapt.items():
        started = time.perf_counter()
        heads[kind] = run()
        seconds[f"{kind} seconds"] = time.perf_counter() - started
    tested, gold, _ = encode(test, task, arguments, encoded)
    scores = {kind: float((heads[kind](tested).argmax(axis=1) == gold).mean()) for kind in KINDS}
    return scores | seconds


def draw(num_rows: int, generator: np.random.Generator) -> np.ndarray:
    """Four fifths of the rows."""
    return generator.permutation(num_rows)[: round(0.8 * num_rows)]


def encode(spec: str, task: str, arguments: argparse.Namespace, encoded: dict[str, tuple]) -> tuple:
    """Features, label ids and texts of a file, computed once."""
    if spec not in encoded:
        rows = read_rows(arguments.data / f"{spec}.jsonl")
        names = {"sequence": ("text",), "pair": ("premise", "hypothesis")}[task]
        columns = dict(zip(("text", "text_pair"), names, strict=False))
        space = LabelSpace.from_labels(row["label"] for row in rows)
        model = FrozenEncoder(
            arguments.model or [None],
            task=get_task(task),
            label_space=space,
            max_length=arguments.max_length,
        )
        texts = Dataset.from_dict({new: [row[old] for row in rows] for new, old in columns.items()})
        labels = np.array([space.id_of(row["label"]) for row in rows])
        encoded[spec] = fuse_features(model.features(texts)), labels, texts
    return encoded[spec]


def table(rows: list[dict]) -> list[str]:
    """Markdown: accuracies in percent, and the gap recovered of the means."""
    lines = [f"| set | seeds | {' | '.join(KINDS)} | gap recovered | seconds |"]
    lines.append("|" + "---|" * (len(KINDS) + 4))
    recovered = []
    for name in dict.fromkeys(row["set"] for row in rows):
        group = [row for row in rows if row["set"] == name]
        means = {kind: statistics.mean(row[kind] for row in group) for kind in KINDS}
        shares = [
            gap_recovered(
                method=means[kind],
                zero_shot=means["zero-shot"],
                supervised=means["supervised"],
            )
            for kind in KINDS[1:-1]
        ]
        recovered += [shares] * (name in REVIEWS)
        cells = [spread([100 * row[kind] for row in group]) for kind in KINDS]
        seconds = statistics.mean(row["co-trained seconds"] for row in group)
        lines.append(
            f"| {name} | {len(group)} | {' | '.join(cells)} | "
            f"{' / '.join(percent(share) for share in shares)} | {seconds:.1f} |"
        )
    if recovered:
        means = [percent(statistics.mean(column)) for column in zip(*recovered, strict=True)]
        lines.append(
            f"| mean of the review domains |{' |' * (len(KINDS) + 1)} {' / '.join(means)} | |"
        )
    return lines


if __name__ == "__main__":
    main()
