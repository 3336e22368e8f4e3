"""Compare full fine-tuning, LoRA and a frozen encoder, zero-shot and supervised.

    python benchmarks/adaptation.py --data DATA --seeds 0 1 2 --results results.jsonl

Runs ``recipes/zero_shot.py`` as a process of its own for every cell (so the peak memory is that
of the run), appends each result to ``--results`` and continues where it stopped. Prints mean and
standard deviation over the seeds in Markdown. ``DATA`` holds ``reviews/``, ``topic/`` and ``nli/``
in JSON Lines; zero-shot trains on English, supervised on the Chinese labels alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from results import read_rows

RECIPE = Path(__file__).parent.parent / "recipes" / "zero_shot.py"

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
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    done = {_key(row): row for row in read_rows(results)}
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for labels in ("zero-shot", "supervised"):
                for mode in arguments.modes:
                    cell = {"task": task, "labels": labels, "mode": mode, "seed": seed}
                    if _key(cell) not in done:
                        row = cell | run(cell, arguments)
                        done[_key(cell)] = row
                        with results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print("\n".join(table(list(done.values()))))


def run(cell: dict, arguments: argparse.Namespace) -> dict:
    """One training in a process of its own."""
    settings, data = TASKS[cell["task"]], Path(arguments.data)
    train, validation = (
        ",".join(str(data / name) for name in names.split(","))
        for names in settings[cell["labels"]]
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, str(RECIPE), "--output_dir", folder, "--overwrite_output", "true"),
            *("--source_train", train, "--source_validation", validation),
            *("--target_test", str(data / settings["test"]), "--seed", str(cell["seed"])),
            *("--save_strategy", "no", "--disable_tqdm", "true"),
            *settings["flags"],
            *MODES[cell["mode"]],
            *(("--model_name_or_path", arguments.model) if arguments.model else ()),
            *(("--max_train_rows", str(n)) if (n := arguments.max_train_rows) else ()),
        ]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            sys.exit(f"{' '.join(command)}\n{finished.stderr[-3000:]}")
        found = json.loads((Path(folder) / "all_results.json").read_text(encoding="utf-8"))
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
