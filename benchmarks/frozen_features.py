"""Classifiers on frozen features, with and without centring: accuracy and seconds.

    python benchmarks/frozen_features.py --data DATA --seeds 0 1 2 --results frozen.jsonl

Encodes every set once, fits each classifier on a sample of the English rows, appends each result to
``--results`` and continues where it stopped. Centring reads the text of the domain's ``train``
split, never its labels; the test split is read for the scores. Prints mean and standard deviation
over the seeds in Markdown. ``DATA`` holds ``reviews/`` and ``topic/`` in JSON Lines.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from datasets import Dataset
from results import read_rows, spread

from xlingual import FrozenEncoder, LabelSpace, get_task

DOMAINS = {
    "reviews": ["zh_hotel", "zh_books", "zh_computer", "zh_phone", "zh_clothes"],
    "topic": ["zh"],
}
CLASSIFIERS = ["logistic_regression", "lda", "pca", "nearest_centroid"]


def main() -> None:
    """Run the missing cells, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/ and topic/")
    parser.add_argument("--results", default="frozen_features.jsonl", help="one JSON line per cell")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=list(DOMAINS))
    parser.add_argument("--max_train_rows", type=int, default=2000)
    parser.add_argument("--models", nargs="+", default=[None], help="one encoder, or two to fuse")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    done = {_key(row): row for row in read_rows(results)}
    with tempfile.TemporaryDirectory() as cache:
        for seed in arguments.seeds:
            for task in arguments.tasks:
                for classifier in CLASSIFIERS:
                    cell = {"task": task, "classifier": classifier, "seed": seed}
                    if _key(cell) not in done:
                        row = cell | run(cell, arguments, cache)
                        done[_key(cell)] = row
                        print(row, file=sys.stderr, flush=True)
                        with results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
    print("\n".join(table(list(done.values()))))


def run(cell: dict, arguments: argparse.Namespace, cache: str) -> dict:
    """Fit one classifier on one sample; only the first one computes features, which are cached."""
    folder = Path(arguments.data) / cell["task"]
    source = sample(folder / "en.train.jsonl", arguments.max_train_rows, cell["seed"])
    model = FrozenEncoder(
        arguments.models,
        task=get_task("sequence"),
        label_space=LabelSpace.from_labels(source["label"]),
        cache_dir=cache,
        seed=cell["seed"],
    )
    model.fit(source, classifier=cell["classifier"])
    development = sample(folder / "en.dev.jsonl")
    row = {**model.costs, "en": _accuracy(model, development, is_target=False)}
    for domain in DOMAINS[cell["task"]]:
        tested = sample(folder / f"{domain}.test.jsonl")
        model.target_shift[:] = 0
        row[domain] = _accuracy(model, tested)
        started = time.perf_counter()
        unlabeled = sample(folder / f"{domain}.train.jsonl", 1000, 0).remove_columns("label")
        model.centre(unlabeled)
        row[f"{domain}, centred"] = _accuracy(model, tested)
        row["centre_seconds"] = time.perf_counter() - started
    return row


def sample(path: Path, limit: int | None = None, seed: int = 0) -> Dataset:
    """The rows of a file, or a sample up to the limit, drawn by the seed."""
    rows = read_rows(path)
    if limit is not None and len(rows) > limit:
        rows = random.Random(seed).sample(rows, limit)
    return Dataset.from_dict({name: [row[name] for row in rows] for name in ("text", "label")})


def _accuracy(model: FrozenEncoder, rows: Dataset, *, is_target: bool = True) -> float:
    output = model.predict_labels(rows, is_target=is_target)
    return float((output.references == output.predictions).mean())


def table(rows: list[dict]) -> list[str]:
    """Markdown: one line per task and classifier; accuracies in percent."""
    lines = [
        "| task | classifier | seeds | en dev | zh mean | zh mean, centred | encode s | fit s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, classifier in dict.fromkeys((row["task"], row["classifier"]) for row in rows):
        group = [row for row in rows if (row["task"], row["classifier"]) == (task, classifier)]
        domains = DOMAINS[task]
        plain = [100 * statistics.mean(row[name] for name in domains) for row in group]
        centred = [
            100 * statistics.mean(row[f"{name}, centred"] for name in domains) for row in group
        ]
        cells = [spread([100 * row["en"] for row in group]), spread(plain), spread(centred)]
        # The first cell of a seed encodes, the others read the cache.
        cells.append(f"{max(row['encode_seconds'] for row in group):.1f}")
        cells.append(f"{statistics.mean(row['fit_seconds'] for row in group):.2f}")
        lines.append(f"| {task} | {classifier} | {len(group)} | " + " | ".join(cells) + " |")
    return lines


def _key(row: dict) -> tuple:
    return row["task"], row["classifier"], row["seed"]


if __name__ == "__main__":
    main()
