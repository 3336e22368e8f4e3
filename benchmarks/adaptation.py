"""Compare full fine-tuning, adapters and a frozen encoder, zero-shot and supervised.

    python benchmarks/adaptation.py --data DATA --seeds 0 1 2 --results results.jsonl

Runs ``recipes/zero_shot.py`` as a process of its own for every cell (so the peak memory is that
of the run), appends each result to ``--results`` and continues where it stopped. Prints mean and
standard deviation over the seeds in Markdown. ``DATA`` holds ``reviews/``, ``topic/`` and ``nli/``
in JSON Lines; zero-shot trains on English, supervised on the Chinese labels alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from processes import run_recipe
from results import read_rows

TASKS = {
    "reviews (hotel)": {
        "zero-shot": ("reviews/en.train.jsonl", "reviews/en.dev.jsonl"),
        "supervised": ("reviews/zh_hotel.train.jsonl", "reviews/zh_hotel.dev.jsonl"),
        "test": "reviews/zh_hotel.test.jsonl",
        "flags": ["--num_train_epochs", "2"],
    },
    "topic": {
        "zero-shot": ("topic/en.train.jsonl", "topic/en.dev.jsonl"),
        "supervised": ("topic/zh.train.jsonl", "topic/zh.dev.jsonl"),
        "test": "topic/zh.test.jsonl",
        "flags": ["--num_train_epochs", "10"],
    },
    "nli (xnli)": {
        "zero-shot": ("nli/en.train.jsonl,nli/en_sick.train.jsonl", "nli/en_xnli.dev.jsonl"),
        "supervised": ("nli/zh_ocnli.train.jsonl", "nli/zh_ocnli.test.jsonl"),
        "test": "nli/zh_xnli.dev.jsonl",
        "flags": ["--num_train_epochs", "3", "--task", "pair"],
    },
}
MODES = {
    "full": ["--freeze_embeddings", "false"],
    "full, frozen embeddings": ["--freeze_embeddings", "true"],
    "LoRA": ["--adapter", "lora"],
    "DoRA": ["--adapter", "dora"],
    "IA3": ["--adapter", "ia3"],
    "frozen encoder": ["--freeze_encoder", "true"],
}


def main() -> None:
    """Run the missing cells, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/, topic/ and nli/")
    parser.add_argument("--results", default="adaptation.jsonl", help="one JSON line per run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", default=list(MODES))
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument("--max_train_rows", type=int, help="train on a sample of this many rows")
    parser.add_argument("--num_workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    done = {_key(row): row for row in read_rows(results)}
    cells = [
        {"task": task, "labels": labels, "mode": mode, "seed": seed}
        for seed, task, labels, mode in itertools.product(
            arguments.seeds, arguments.tasks, ("zero-shot", "supervised"), arguments.modes
        )
    ]
    missing = [cell for cell in cells if _key(cell) not in done]
    with ThreadPoolExecutor(arguments.num_workers) as pool:
        found = pool.map(lambda cell: run(cell, arguments), missing)
        for cell, row in zip(missing, found, strict=True):
            if row is not None:
                done[_key(cell)] = cell | row
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(cell | row, ensure_ascii=False) + "\n")
    print("\n".join(table(list(done.values()))))


def run(cell: dict, arguments: argparse.Namespace) -> dict | None:
    """One training in a process of its own."""
    settings, data = TASKS[cell["task"]], Path(arguments.data)
    train, validation = (
        ",".join(str(data / name) for name in names.split(","))
        for names in settings[cell["labels"]]
    )
    flags = [
        *("--source_train", train, "--source_validation", validation),
        *("--target_test", str(data / settings["test"]), "--seed", str(cell["seed"])),
        *("--save_strategy", "no", "--disable_tqdm", "true"),
        *settings["flags"],
        *MODES[cell["mode"]],
        *(("--model_name_or_path", arguments.model) if arguments.model else ()),
        *(("--max_train_rows", str(n)) if (n := arguments.max_train_rows) else ()),
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = run_recipe("zero_shot", flags, output_dir=Path(folder, "out"))
    if found is None:
        return None
    keys = (
        *("eval_zh_accuracy", "eval_zh_macro_f1", "eval_en_accuracy", "eval_zh_majority_accuracy"),
        *("trainable_parameters", "train_runtime", "peak_memory_mib"),
    )
    row = {key: found[key] for key in keys}
    print(cell, {key: round(value, 4) for key, value in row.items()}, file=sys.stderr, flush=True)
    return row


def table(rows: list[dict]) -> list[str]:
    """Markdown: one line per task, labels and mode."""
    lines = [
        "| task | labels | mode | seeds | zh accuracy | zh macro-F1 | source dev | majority | "
        "trainable | seconds | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    cells = dict.fromkeys((row["task"], row["labels"], row["mode"]) for row in rows)
    for cell in cells:
        group = [row for row in rows if (row["task"], row["labels"], row["mode"]) == cell]

        def spread(key: str, factor: float = 100.0, group: list[dict] = group) -> str:
            values = [factor * row[key] for row in group]
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            return f"{statistics.mean(values):.1f} ± {deviation:.1f}"

        lines.append(
            f"| {cell[0]} | {cell[1]} | {cell[2]} | {len(group)} | {spread('eval_zh_accuracy')} | "
            f"{spread('eval_zh_macro_f1')} | {spread('eval_en_accuracy')} | "
            f"{100 * group[0]['eval_zh_majority_accuracy']:.1f} | "
            f"{group[0]['trainable_parameters']:,.0f} | {spread('train_runtime', 1)} | "
            f"{spread('peak_memory_mib', 1)} |"
        )
    return lines


def _key(row: dict) -> tuple:
    return row["task"], row["labels"], row["mode"], row["seed"]


if __name__ == "__main__":
    main()
