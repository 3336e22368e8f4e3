"""Measure the error of estimates of the Chinese accuracy that are made without Chinese labels.

    python benchmarks/estimates.py --data DATA --seeds 0 1 2 --results estimates.jsonl

Trains zero-shot on a sample of the English rows, calibrates on English validation, estimates the
accuracy on each Chinese domain from the text of its ``train`` split, and then reads the labels of
its ``test`` split for the truth. The effect of label-shift correction is measured on the same
predictions. Appends the results of each training to ``--results``, continues where it stopped, and
prints mean absolute error and bias in points, and how often the 95% interval held the truth.
``DATA`` holds ``reviews/`` and ``topic/`` in JSON Lines.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

from datasets import Dataset
from results import read_rows

from xlingual import (
    LabelSpace,
    TransferArguments,
    TransferTrainer,
    correct_label_shift,
    estimate_accuracy,
    ngram_agreement,
)
from xlingual.evaluation import accuracy_under_prior
from xlingual.evaluation.calibration import apply_calibration, fit_calibration_temperature

DOMAINS = {
    "reviews": ["zh_hotel", "zh_books", "zh_computer", "zh_phone", "zh_clothes"],
    "topic": ["zh"],
}
EPOCHS = {"reviews": 2, "topic": 10}
ESTIMATES = ["source", "atc", "doc", "agreement", "estimate", "prior"]


def main() -> None:
    """Run the missing cells, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/ and topic/")
    parser.add_argument("--results", default="estimates.jsonl", help="one JSON line per domain")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=list(DOMAINS))
    parser.add_argument("--max_train_rows", type=int, default=2000)
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    rows = read_rows(results)
    done = {(row["task"], row["seed"]) for row in rows}
    for seed in arguments.seeds:
        for task in arguments.tasks:
            if (task, seed) in done:
                continue
            new = run(task, seed, arguments)
            rows += new
            with results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
            print(new, file=sys.stderr, flush=True)
    print("\n".join(table(rows)))


def run(task: str, seed: int, arguments: argparse.Namespace) -> list[dict]:
    """One training, and a row for each domain."""
    folder = Path(arguments.data) / task
    source = sample(folder / "en.train.jsonl", arguments.max_train_rows, seed)
    with tempfile.TemporaryDirectory() as output:
        args = TransferArguments(
            output_dir=output, save_strategy="no", num_train_epochs=EPOCHS[task], seed=seed,
            report_to="none", disable_tqdm=True,
        )  # fmt: skip
        trainer = TransferTrainer(
            model=arguments.model,
            args=args,
            train_dataset=source,
            label_space=LabelSpace.from_labels(source["label"]),
        )
        trainer.train()
    validation = trainer.predict_labels(sample(folder / "en.dev.jsonl"))
    temperature = fit_calibration_temperature(validation.probs, validation.references)
    source_probs = apply_calibration(validation.probs, temperature)
    rows = []
    for domain in DOMAINS[task]:
        text = sample(folder / f"{domain}.train.jsonl", 1000).remove_columns("label")
        unlabeled = trainer.predict_labels(text)
        tested = trainer.predict_labels(sample(folder / f"{domain}.test.jsonl"))
        found = estimate_accuracy(
            source_probs,
            validation.references,
            apply_calibration(unlabeled.probs, temperature),
            agreement=ngram_agreement(unlabeled.probs, text),
        )
        row = {"task": task, "seed": seed, "domain": domain}
        row["truth"] = float((tested.predictions == tested.references).mean())
        row |= {"source": found.source_accuracy.value, "atc": found.atc.value}
        row |= {"agreement": found.agreement.value if found.agreement else None}
        row |= {"doc": found.doc.value, "estimate": found.accuracy.value}
        row |= {"low": found.accuracy.low, "high": found.accuracy.high}
        for method in ("em", "bbse"):
            shift = correct_label_shift(
                source_probs=validation.probs,
                source_references=validation.references,
                target_probs=unlabeled.probs,
                target_rows=text,
                method=method,
            )
            corrected = shift(tested.probs).argmax(axis=1) == tested.references
            row |= {method: float(corrected.mean()), f"{method}_is_applied": shift.is_applied}
            if method == "em":
                row["prior"] = accuracy_under_prior(
                    validation.references, validation.predictions, prior=shift.target_prior
                )
        rows.append(row)
    return rows


def sample(path: Path, limit: int | None = None, seed: int = 0) -> Dataset:
    """The rows of a file, or a sample up to the limit, drawn by the seed."""
    rows = read_rows(path)
    if limit is not None and len(rows) > limit:
        rows = random.Random(seed).sample(rows, limit)
    return Dataset.from_dict({name: [row[name] for row in rows] for name in ("text", "label")})


def table(rows: list[dict]) -> list[str]:
    """Markdown: the errors of the estimates, and the effect of the corrections."""
    lines = [
        "| task | sets x seeds | zh accuracy | estimate | off by | bias |",
        "|---|---|---|---|---|---|",
    ]
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    for task in tasks:
        group = [row for row in rows if row["task"] == task]
        truth = 100 * statistics.mean(row["truth"] for row in group)
        for name in ESTIMATES:
            known = [row for row in group if row[name] is not None]
            if not known:
                continue
            errors = [100 * (row[name] - row["truth"]) for row in known]
            lines.append(
                f"| {task} | {len(group)} | {truth:.1f} | {name} | "
                f"{statistics.mean(map(abs, errors)):.1f} | {statistics.mean(errors):+.1f} |"
            )
        held = statistics.mean(row["low"] <= row["truth"] <= row["high"] for row in group)
        width = 100 * statistics.mean(row["high"] - row["low"] for row in group)
        lines.append(
            f"| {task} | {len(group)} | | interval, {width:.0f} wide, holds | {held:.0%} | |"
        )
    lines += ["", "| task | method | points won | worst | applied |", "|---|---|---|---|---|"]
    for task in tasks:
        group = [row for row in rows if row["task"] == task]
        for method in ("em", "bbse"):
            won = [100 * (row[method] - row["truth"]) for row in group]
            applied = statistics.mean(row[f"{method}_is_applied"] for row in group)
            lines.append(
                f"| {task} | {method} | {statistics.mean(won):+.1f} | {min(won):+.1f} | "
                f"{applied:.0%} |"
            )
    return lines


if __name__ == "__main__":
    main()
