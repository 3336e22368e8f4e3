"""Compare two tasks that share an encoder (``multi_task --separate_heads``) with one model each.

    python benchmarks/model_sharing.py --data DATA --results sharing.jsonl

English reviews (tested on Chinese hotel reviews) and English topics (tested on Chinese ones).
*alone* is ``zero_shot``; *shared* is one training on both; *tempered* is the same with the rows of
the smaller set repeated. All have the same number of epochs. Results are appended to ``--results``
and not measured again; prints mean and standard deviation over the seeds in Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from results import read_rows, spread

RECIPES = Path(__file__).parent.parent / "recipes"
TASKS = {"hotel": ("reviews/en", "reviews/zh_hotel"), "topic": ("topic/en", "topic/zh")}
SHARED = {"shared": [], "tempered": ["--sampling_temperature", "4"]}


def main() -> None:
    """Run the missing cells, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with reviews/ and topic/")
    parser.add_argument("--results", default="model_sharing.jsonl", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--max_train_rows", type=int, default=1000, help="training rows of each task"
    )
    parser.add_argument("--num_train_epochs", type=int, default=5)
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    arguments = parser.parse_args()
    done = {(row["run"], row["seed"]) for row in read_rows(arguments.results)}
    for seed in arguments.seeds:
        for run in (*TASKS, *SHARED):
            if (run, seed) not in done:
                rows = [{"run": run, "seed": seed} | row for row in start(run, seed, arguments)]
                with arguments.results.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows)
    print("\n".join(table(read_rows(arguments.results))))


def start(run: str, seed: int, arguments: argparse.Namespace) -> list[dict]:
    """One training in a process of its own; a row for each of its tasks."""
    tasks = [run] if run in TASKS else list(TASKS)
    recipe = ["zero_shot.py"] if run in TASKS else ["multi_task.py", "--separate_heads", "true"]

    def sets(side: int, split: str) -> str:
        return ",".join(f"{t}={arguments.data}/{TASKS[t][side]}.{split}.jsonl" for t in tasks)

    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, str(RECIPES / recipe[0]), *recipe[1:], *SHARED.get(run, [])),
            *("--source_train", sets(0, "train"), "--target_test", sets(1, "test")),
            *("--max_train_rows", str(arguments.max_train_rows)),
            *("--num_train_epochs", str(arguments.num_train_epochs)),
            *("--seed", str(seed), "--output_dir", folder, "--overwrite_output", "true"),
            *("--save_strategy", "no", "--disable_tqdm", "true"),
            *(("--model_name_or_path", arguments.model) if arguments.model else ()),
        ]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            sys.exit(f"{' '.join(command)}\n{finished.stderr[-3000:]}")
        rows = []
        for task in tasks:
            results = Path(folder, "" if run in TASKS else task, "all_results.json")
            found = json.loads(results.read_text(encoding="utf-8"))
            row = {"task": task, "accuracy": found["eval_zh_accuracy"]}
            rows.append(row | {"seconds": found["train_runtime"]})
        print(run, seed, rows, file=sys.stderr, flush=True)
        return rows


def table(rows: list[dict]) -> list[str]:
    """Markdown: accuracy in Chinese of each task alone and shared, and the gain by seed."""
    lines = ["| task | training | seeds | zh accuracy | against alone | seconds |"]
    lines.append("|---|---|---|---|---|---|")
    for task in TASKS:
        found = {
            run: {row["seed"]: row for row in rows if (row["task"], row["run"]) == (task, run)}
            for run in (task, *SHARED)
        }
        for run, by_seed in found.items():
            scores = {seed: 100 * row["accuracy"] for seed, row in by_seed.items()}
            both = [seed for seed in scores if seed in found[task]]
            if not both:
                continue
            gains = [scores[seed] - 100 * found[task][seed]["accuracy"] for seed in both]
            seconds = statistics.mean(row["seconds"] for row in by_seed.values())
            lines.append(
                f"| {task} | {'alone' if run == task else run} | {len(scores)} | "
                f"{spread(list(scores.values()))} | {'-' if run == task else spread(gains)} | "
                f"{seconds:.0f} |"
            )
    return lines


if __name__ == "__main__":
    main()
