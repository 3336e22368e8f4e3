"""Choose the presets of an encoder size, learning rate and epochs, by English validation alone.

    python benchmarks/presets.py --data DATA --model DIR --results presets.jsonl

Trains on the English rows of reviews, topics and NLI with every learning rate and number of epochs,
and scores the English validation rows; no Chinese row is read. Results are appended and not
measured again. Prints the mean over the seeds in Markdown. ``DATA`` holds ``reviews/``, ``topic/``
and ``nli/`` in JSON Lines.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from processes import run_recipe
from results import read_rows, spread

TASKS = {
    "reviews": ("reviews/en.train.jsonl", "reviews/en.dev.jsonl", "sequence"),
    "topic": ("topic/en.train.jsonl", "topic/en.dev.jsonl", "sequence"),
    "nli": ("nli/en.train.jsonl,nli/en_sick.train.jsonl", "nli/en_xnli.dev.jsonl", "pair"),
}


class Cell(NamedTuple):
    """One training."""

    task: str
    learning_rate: float
    epochs: float
    seed: int


def main() -> None:
    """Run the missing cells, then print the table."""
    arguments = parse()
    if arguments.num_workers > 1:
        os.environ["OMP_NUM_THREADS"] = "1"  # of the runs
    results = Path(arguments.results)
    rows = [row for row in read_rows(results) if row["model"] == arguments.model]
    done = {_cell(row): row["accuracy"] for row in rows}
    cells = [
        Cell(task, rate, epochs, seed)
        for seed, task, rate in itertools.product(
            arguments.seeds, arguments.tasks, arguments.learning_rates
        )
        for epochs in (arguments.topic_epochs if task == "topic" else arguments.epochs)
    ]
    missing = [cell for cell in cells if cell not in done]
    with ThreadPoolExecutor(arguments.num_workers) as pool:
        for cell, found in zip(
            missing, pool.map(lambda cell: train(cell, arguments), missing), strict=True
        ):
            if found is not None:
                done[cell] = 100 * found["eval_en_accuracy"]
                row = {"model": arguments.model, **cell._asdict(), "accuracy": done[cell]}
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    sys.stdout.write("\n".join(table({cell: done[cell] for cell in cells if cell in done})) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/, topic/ and nli/")
    parser.add_argument("--results", default="presets.jsonl", help="one JSON line per training")
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--learning_rates", type=float, nargs="+", default=[1e-4, 3e-4, 5e-4])
    parser.add_argument("--epochs", type=float, nargs="+", default=[1, 2, 3])
    parser.add_argument("--topic_epochs", type=float, nargs="+", default=[5, 10, 20])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--num_workers", type=int, default=1, help="above 1: one thread per run")
    parser.add_argument(
        "--flags", nargs=argparse.REMAINDER, default=[], help="flags for all runs; must come last"
    )
    return parser.parse_args()


def train(cell: Cell, arguments: argparse.Namespace) -> dict | None:
    """One run of ``zero_shot`` without a target set."""
    train_files, validation, task = TASKS[cell.task]
    paths = [str(Path(arguments.data) / name) for name in train_files.split(",")]
    flags = {
        "task": task,
        "source_train": ",".join(paths),
        "source_validation": Path(arguments.data) / validation,
        "learning_rate": cell.learning_rate,
        "num_train_epochs": cell.epochs,
        "seed": cell.seed,
        "save_strategy": "no",
        "disable_tqdm": True,
        **({"model_name_or_path": arguments.model} if arguments.model else {}),
    }
    values = [f"--{key}={value}" for key, value in flags.items()]
    with tempfile.TemporaryDirectory() as folder:
        return run_recipe("zero_shot", values + arguments.flags, output_dir=Path(folder, "out"))


def table(accuracy: dict[Cell, float]) -> list[str]:
    """A row for each setting of a task, the best mean in bold."""
    lines = ["| task | learning rate | epochs | English validation |", "|---|---|---|---|"]
    by_setting: dict[tuple, list[float]] = {}
    for cell, value in accuracy.items():
        by_setting.setdefault(cell[:3], []).append(value)
    means = {setting: statistics.mean(values) for setting, values in by_setting.items()}
    for task in dict.fromkeys(setting[0] for setting in by_setting):
        best = max(mean for setting, mean in means.items() if setting[0] == task)
        for setting in (setting for setting in by_setting if setting[0] == task):
            shown = spread(by_setting[setting])
            shown = f"**{shown}**" if means[setting] == best else shown
            lines.append(f"| {task} | {setting[1]:g} | {setting[2]:g} | {shown} |")
    return lines


def _cell(row: dict) -> Cell:
    return Cell(*(row[name] for name in Cell._fields))


if __name__ == "__main__":
    main()
