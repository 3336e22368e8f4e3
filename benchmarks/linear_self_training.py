"""Self-training of a linear head on frozen features: gap recovered, with no Chinese label.

    python benchmarks/linear_self_training.py --data DATA --results linear.jsonl

Every set is encoded once; a seed draws four fifths of the English rows and of the Chinese text.
*zero-shot* is the head of the English rows, *self-trained* the same after ``self_train_head`` on
the text of the domain's ``train`` split (labels never read), *supervised* a head of its labels: the
ceiling of frozen features. Prints mean and standard deviation over the seeds in Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
from datasets import Dataset
from results import read_rows, spread

from xlingual import FrozenEncoder, LabelSpace, get_task
from xlingual.transfer.frozen_features import fit_linear, fuse_features
from xlingual.transfer.linear_self_training import self_train_head

REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
SETS = {
    name: ("sequence", ["reviews/en.train"], f"reviews/zh_{name}.train", f"reviews/zh_{name}.test")
    for name in REVIEWS
}
SETS["topic"] = ("sequence", ["topic/en.train"], "topic/zh.train", "topic/zh.test")
SETS["nli"] = (
    "pair", ["nli/en.train", "nli/en_sick.train"], "nli/zh_ocnli.train", "nli/zh_xnli.dev",
)  # fmt: skip
KINDS = ("zero-shot", "self-trained", "supervised")
STRENGTH = 1e-2


def main() -> None:
    """Run the missing sets, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with reviews/, topic/...")
    parser.add_argument("--results", default="linear_self_training.jsonl", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--model", help="folder or hub id; default: the embedded encoder")
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
    """One set and seed: the accuracy of the three heads."""
    task, sources, text, test = SETS[name]
    features, labels = zip(*(encode(p, task, arguments, encoded) for p in sources), strict=True)
    generator = np.random.default_rng(seed)
    source, source_labels = part(np.concatenate(features), np.concatenate(labels), generator)
    target, target_labels = part(*encode(text, task, arguments, encoded), generator)
    tested, gold = encode(test, task, arguments, encoded)
    common = {"num_labels": int(gold.max()) + 1, "strength": STRENGTH}
    head = fit_linear(source, source_labels, **common)
    started = time.perf_counter()
    adapted = self_train_head(head, target)
    seconds = time.perf_counter() - started
    ceiling = fit_linear(target, target_labels, **common)
    scores = {
        kind: float((one(tested).argmax(axis=1) == gold).mean())
        for kind, one in zip(KINDS, (head, adapted, ceiling), strict=True)
    }
    return {**scores, "kept": adapted is not head, "seconds": seconds}


def part(features: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> tuple:
    """Four fifths of the rows."""
    rows = generator.permutation(len(labels))[: round(0.8 * len(labels))]
    return features[rows], labels[rows]


def encode(spec: str, task: str, arguments: argparse.Namespace, encoded: dict[str, tuple]) -> tuple:
    """Features and label ids of a file, computed once."""
    if spec not in encoded:
        rows = read_rows(arguments.data / f"{spec}.jsonl")
        names = {"sequence": ("text",), "pair": ("premise", "hypothesis")}[task]
        columns = dict(zip(("text", "text_pair"), names, strict=False))
        space = LabelSpace.from_labels(row["label"] for row in rows)
        model = FrozenEncoder([arguments.model], task=get_task(task), label_space=space)
        texts = {new: [row[old] for row in rows] for new, old in columns.items()}
        features = fuse_features(model.features(Dataset.from_dict(texts)))
        ids = {label: number for number, label in enumerate(sorted(space.names))}
        encoded[spec] = features, np.array([ids[row["label"]] for row in rows])
    return encoded[spec]


def table(rows: list[dict]) -> list[str]:
    """Markdown: accuracies in percent, and the gap recovered of the means."""
    lines = [
        "| set | seeds | zero-shot | self-trained | supervised head | gap recovered | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    recovered = []
    for name in dict.fromkeys(row["set"] for row in rows):
        group = [row for row in rows if row["set"] == name]
        means = [statistics.mean(row[kind] for row in group) for kind in KINDS]
        gap = 100 * (means[1] - means[0]) / (means[2] - means[0])
        recovered += [gap] * (name in REVIEWS)
        cells = [spread([100 * row[kind] for row in group]) for kind in KINDS]
        seconds = statistics.mean(row["seconds"] for row in group)
        lines.append(
            f"| {name} | {len(group)} | {' | '.join(cells)} | {gap:.0f}% | {seconds:.1f} |"
        )
    if recovered:
        lines.append(
            f"| mean of the review domains | | | | | {statistics.mean(recovered):.0f}% | |"
        )
    return lines


if __name__ == "__main__":
    main()
