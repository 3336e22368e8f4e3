"""Every method of transfer on the real sets: score, interval, gap recovered, seconds.

    python benchmarks/transfer.py --data DATA --domains hotel books --seeds 0 1 2 3 4 \
        --results transfer.jsonl

Runs a recipe as a process of its own for every cell (a method on a set with a seed), appends the
result to ``--results`` and goes on where it stopped; a cell that fails is said and tried again the
next time. Prints Markdown. ``DATA`` holds ``reviews/``, ``topic/`` and ``nli/`` in JSON Lines. The
target's text is that of its training split, whose labels only few_shot and supervised may read.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import read_rows

from xlingual.evaluation import gap_recovered

RECIPES = Path(__file__).parent.parent / "recipes"


def reviews(domain: str, dev: str | None = None) -> dict:
    """English reviews of all kinds, and one Chinese domain."""
    return {
        "source": "reviews/en.train.jsonl", "source_dev": "reviews/en.dev.jsonl",
        "target": f"reviews/zh_{domain}.train.jsonl", "target_dev": dev,
        "test": f"reviews/zh_{domain}.test.jsonl", "flags": ["--num_train_epochs", "2"],
    }  # fmt: skip


DOMAINS = {
    "hotel": reviews("hotel", "reviews/zh_hotel.dev.jsonl"),
    "books": reviews("books"),
    "computer": reviews("computer"),
    "phone": reviews("phone"),
    "clothes": reviews("clothes"),
    "topic": {
        "source": "topic/en.train.jsonl", "source_dev": "topic/en.dev.jsonl",
        "target": "topic/zh.train.jsonl", "target_dev": "topic/zh.dev.jsonl",
        "test": "topic/zh.test.jsonl", "flags": ["--num_train_epochs", "10"],
    },
    "nli": {
        "source": "nli/en.train.jsonl,nli/en_sick.train.jsonl",
        "source_dev": "nli/en_xnli.dev.jsonl",
        "target": "nli/zh_ocnli.train.jsonl", "target_dev": "nli/zh_ocnli.test.jsonl",
        "test": "nli/zh_xnli.dev.jsonl", "flags": ["--num_train_epochs", "3", "--task", "pair"],
    },
}  # fmt: skip
REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
# Recipe, its flags, and what it is given of the target: nothing, its text, or its labels.
METHODS = {
    "zero_shot": ("zero_shot", [], ""),
    "zero_shot_average": ("zero_shot", ["--selection", "average"], ""),
    "frozen_features": ("frozen_features", [], "text"),
    **{
        name: ("unlabeled_target", ["--method", name], "text")
        for name in ("self_training", "continued_pretraining", "dann", "cdan", "mmd", "coral",
                     "recommended")
    },
    "few_shot": ("few_shot", ["--shots_per_label", "16"], "labels"),
    "supervised": ("zero_shot", [], "as source"),
}  # fmt: skip


def main() -> None:
    """Run the missing cells, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/, topic/ and nli/")
    parser.add_argument("--results", default="transfer.jsonl", help="one JSON line a cell")
    parser.add_argument("--domains", nargs="+", default=list(DOMAINS), choices=DOMAINS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--max_train_rows", type=int, help="so many rows of each training set")
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="for all runs; last")
    arguments = parser.parse_args()
    results = Path(arguments.results)
    done = {_key(row): row for row in read_rows(results)}
    failed = []
    for seed in arguments.seeds:
        for domain in arguments.domains:
            for method in arguments.methods:
                cell = {
                    "domain": domain, "method": method, "seed": seed,
                    "max_train_rows": arguments.max_train_rows, "model": arguments.model,
                    "flags": arguments.flags,
                }  # fmt: skip
                if _key(cell) in done:
                    continue
                found = run(cell, Path(arguments.data))
                if found is None:
                    failed.append(f"{domain} {method} {seed}")
                    continue
                done[_key(cell)] = cell | found
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(cell | found, ensure_ascii=False) + "\n")
    asked = {"max_train_rows": arguments.max_train_rows, "model": arguments.model}
    rows = [
        row
        for row in done.values()
        if all(row[key] == value for key, value in asked.items())
        and (row["flags"], row["domain"] in arguments.domains) == (arguments.flags, True)
        and row["method"] in arguments.methods
        and row["seed"] in arguments.seeds
    ]
    sys.stdout.write("\n".join(table(rows)) + "\n")
    if failed:
        sys.exit("failed: " + ", ".join(failed))


def run(cell: dict, data: Path) -> dict | None:
    """One cell in a process of its own; None if it failed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            *(sys.executable, str(RECIPES / f"{METHODS[cell['method']][0]}.py")),
            *("--output_dir", str(folder / "out"), "--seed", str(cell["seed"])),
            *("--save_strategy", "no", "--disable_tqdm", "true"),
            *_data_flags(cell, data, folder),
            *DOMAINS[cell["domain"]]["flags"],
            *METHODS[cell["method"]][1],
            *(("--model_name_or_path", cell["model"]) if cell["model"] else ()),
            *cell["flags"],
        ]
        started = time.perf_counter()
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if finished.returncode:
            sys.stderr.write(f"{' '.join(command)}\n{finished.stderr[-3000:]}\n")
            return None
        found = json.loads((folder / "out" / "all_results.json").read_text(encoding="utf-8"))
    keys = ("accuracy", "macro_f1", "majority_accuracy")
    row = {f"eval_zh_{key}": found[f"eval_zh_{key}"] for key in keys}
    row |= {"seconds": round(seconds, 1), "peak_memory_mib": found["peak_memory_mib"]}
    sys.stderr.write(f"{cell['domain']} {cell['method']} {cell['seed']}: {row}\n")
    return row


def _data_flags(cell: dict, data: Path, folder: Path) -> list[str]:
    """The data of a cell; training sets cut to so many rows are written beside the output."""
    settings, limit = DOMAINS[cell["domain"]], cell["max_train_rows"]

    def paths(names: str) -> str:
        return ",".join(str(data / name) for name in names.split(","))

    def training(names: str) -> str:
        if limit is None:
            return paths(names)
        return ",".join(str(_cut(data / name, folder, limit)) for name in names.split(","))

    share = METHODS[cell["method"]][2]
    flags = ["--target_test", paths(settings["test"])]
    if share == "as source":
        flags += ["--source_train", training(settings["target"])]
        dev = settings["target_dev"]
        return flags + (["--source_validation", paths(dev)] if dev else [])
    flags += ["--source_train", training(settings["source"])]
    flags += ["--source_validation", paths(settings["source_dev"])]
    if share == "text":
        flags += ["--target_unlabeled", training(settings["target"])]
    if share == "labels":
        flags += ["--target_train", training(settings["target"])]
    return flags


def _cut(path: Path, folder: Path, limit: int) -> Path:
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line]
    cut = folder / path.name
    kept = random.Random(0).sample(lines, min(limit, len(lines)))  # the same in every cell
    cut.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return cut


def table(rows: list[dict]) -> list[str]:
    """Markdown: one line per set and method, then the mean over the review domains."""
    lines = [
        "| set | method | seeds | zh accuracy | 95% over seeds | gap recovered | seconds | "
        "peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        of_set = scores.setdefault(row["domain"], {})
        of_set.setdefault(row["method"], {})[row["seed"]] = row["eval_zh_accuracy"]
    for domain in [domain for domain in DOMAINS if domain in scores]:
        group = [row for row in rows if row["domain"] == domain]
        lines += _lines(domain, scores[domain], group)
    there = [domain for domain in REVIEWS if domain in scores]
    if len(there) > 1:
        lines += _lines(f"mean of {len(there)} review domains", _mean([scores[d] for d in there]),
                        [row for row in rows if row["domain"] in there])  # fmt: skip
    return lines


def _mean(parts: list[dict[str, dict[int, float]]]) -> dict[str, dict[int, float]]:
    """Of the methods and seeds that every domain has."""
    mean = {}
    for method in parts[0]:
        seeds = set.intersection(*(set(part.get(method, {})) for part in parts))
        if seeds:
            mean[method] = {
                seed: statistics.mean(part[method][seed] for part in parts)
                for seed in sorted(seeds)
            }
    return mean


def _lines(name: str, scores: dict[str, dict[int, float]], rows: list[dict]) -> list[str]:
    lines = []
    means = {method: statistics.mean(each.values()) for method, each in scores.items()}
    for method in [method for method in METHODS if method in scores]:
        values = [100 * value for value in scores[method].values()]
        mean, gap = statistics.mean(values), "-"
        spread, interval = "", "-"
        if len(values) > 1:
            deviation = statistics.stdev(values)
            half = _t_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
            spread, interval = f" ± {deviation:.1f}", f"{mean - half:.1f} to {mean + half:.1f}"
        if {"zero_shot", "supervised"} <= means.keys():
            share = gap_recovered(
                method=means[method],
                zero_shot=means["zero_shot"],
                supervised=means["supervised"],
            )
            gap = "no gap" if math.isnan(share) else f"{100 * share:.0f}%"
        own = [row for row in rows if row["method"] == method]
        seconds, memory = (
            statistics.mean(row[key] for row in own) for key in ("seconds", "peak_memory_mib")
        )
        lines.append(
            f"| {name} | {method} | {len(values)} | {mean:.1f}{spread} | {interval} | {gap} | "
            f"{seconds:.0f} | {memory:.0f} |"
        )
    return lines


def _t_quantile(degrees: int) -> float:
    """Of Student's t, for a 95% interval of a mean."""
    from scipy.stats import t

    return float(t.ppf(0.975, degrees))


def _key(row: dict) -> str:
    keys = ("domain", "method", "seed", "max_train_rows", "model", "flags")
    return json.dumps([row[key] for key in keys])


if __name__ == "__main__":
    main()
