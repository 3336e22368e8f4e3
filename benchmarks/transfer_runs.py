"""The runs of ``benchmarks/transfer.py``: a recipe in a process of its own, and what it gave."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RECIPES = Path(__file__).parent.parent / "recipes"


def reviews(domain: str, dev: str | None = None) -> dict:
    """English reviews of all kinds, and one Chinese domain."""
    return {
        "group": "reviews", "source": "reviews/en.train.jsonl",
        "source_dev": "reviews/en.dev.jsonl",
        "target": f"reviews/zh_{domain}.train.jsonl", "target_dev": dev,
        "test": f"reviews/zh_{domain}.test.jsonl", "flags": ["--num_train_epochs", "2"],
    }  # fmt: skip


# Sets of one group share source and flags.
DOMAINS = {
    "hotel": reviews("hotel", "reviews/zh_hotel.dev.jsonl"),
    "books": reviews("books"),
    "computer": reviews("computer"),
    "phone": reviews("phone"),
    "clothes": reviews("clothes"),
    "topic": {
        "group": "topic", "source": "topic/en.train.jsonl", "source_dev": "topic/en.dev.jsonl",
        "target": "topic/zh.train.jsonl", "target_dev": "topic/zh.dev.jsonl",
        "test": "topic/zh.test.jsonl", "flags": ["--num_train_epochs", "10"],
    },
    "nli": {
        "group": "nli", "source": "nli/en.train.jsonl,nli/en_sick.train.jsonl",
        "source_dev": "nli/en_xnli.dev.jsonl",
        "target": "nli/zh_ocnli.train.jsonl", "target_dev": "nli/zh_ocnli.test.jsonl",
        "test": "nli/zh_xnli.dev.jsonl", "flags": ["--num_train_epochs", "3", "--task", "pair"],
    },
}  # fmt: skip
REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
# Recipe, its flags ({data} is the folder), and what it is given of the target: nothing, its text,
# its labels, or both.
METHODS = {
    "zero_shot": ("zero_shot", [], ""),
    "zero_shot_average": ("zero_shot", ["--selection", "average"], ""),
    "frozen_features": ("frozen_features", [], ""),
    "code_switching": (
        "translate_train",
        ["--method", "code_switching",
         "--dictionary", "{data}/parallel/cedict_1_0_ts_utf-8_mdbg.txt.gz"],
        "",
    ),
    "bitext_consistency": (
        "translate_train",
        ["--method", "bitext_consistency",
         "--bitext", "{data}/parallel/tatoeba.tsv.gz,{data}/parallel/3am_train.tsv.gz"],
        "",
    ),
    "frozen_self_training": ("frozen_features", ["--self_training", "true"], "text"),
    "frozen_co_training": ("frozen_features", ["--co_training", "true"], "text"),
    **{
        name: ("unlabeled_target", ["--method", name], "text")
        for name in ("co_training", "self_training", "continued_pretraining", "dann", "cdan", "mmd",
                     "coral")
    },
    "few_shot": ("few_shot", ["--shots_per_label", "16"], "labels"),
    "few_shot_with_text": ("few_shot", ["--shots_per_label", "16"], "labels, text"),
    "supervised": ("zero_shot", [], "as source"),
}  # fmt: skip
FROM_ZERO_SHOT = ("unlabeled_target", "few_shot")  # recipes with --zero_shot_model
NOT_FOR = {("nli", "bitext_consistency")}  # it labels single sentences
_SCORES = ("accuracy", "macro_f1", "majority_accuracy")

Rows = dict[str, dict[str, float]]  # by set


@dataclass(frozen=True)
class Settings:
    """What all runs of a benchmark have in common."""

    data: Path
    kept: Path  # folder of the zero-shot models
    max_train_rows: int | None
    model: str | None
    max_length: int
    flags: list[str]
    threads: int | None

    def cell(self, domain: str, method: str, seed: int) -> dict:
        """What a result is of."""
        return {
            "domain": domain, "method": method, "seed": seed,
            "max_train_rows": self.max_train_rows, "model": self.model,
            "max_length": self.max_length, "flags": self.flags,
        }  # fmt: skip

    def zero_shot_folder(self, group: str, seed: int) -> Path:
        """Where the zero-shot model of a source and a seed is kept."""
        settings = [self.max_train_rows, self.model, self.max_length, self.flags]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
        return self.kept / f"{group}-{seed}-{digest}"


class Job(NamedTuple):
    """One run: a method with a seed, scored on one set, or on all that have its source."""

    domains: tuple[str, ...]
    method: str
    seed: int

    @property
    def name(self) -> str:
        """For people."""
        return f"{'+'.join(self.domains)} {self.method} {self.seed}"


def run(job: Job, settings: Settings, zero_shot: Future | None = None) -> Rows | None:
    """One run in a process of its own; its rows by set, or None if it failed.

    Args:
        job: The run.
        settings: Those of the benchmark.
        zero_shot: The run of the zero-shot model that this one starts from.
    """
    before = zero_shot.result() if zero_shot is not None else {}
    if before is None:
        return None
    model = settings.zero_shot_folder(DOMAINS[job.domains[0]]["group"], job.seed)
    if job.method == "zero_shot":
        found = _finished(model) or _start(job, settings, out=model)
    elif zero_shot is None:
        found = _start(job, settings)
    elif (model / "adapter_config.json").is_file():  # no recipe starts from an adapter
        before, found = {}, _start(job, settings)
    else:
        found = _start(job, settings, zero_shot_model=model)
    if found is None:
        return None
    rows = {}
    for domain in job.domains:
        name = "zh" if len(job.domains) == 1 else f"zh_{domain}"
        row = {f"eval_zh_{key}": found[f"eval_{name}_{key}"] for key in _SCORES}
        seconds, memory = found["seconds"], found["peak_memory_mib"]
        if first := before.get(domain):
            seconds, memory = seconds + first["seconds"], max(memory, first["peak_memory_mib"])
            row["zero_shot_seconds"] = first["seconds"]
        rows[domain] = {**row, "seconds": round(seconds, 1), "peak_memory_mib": memory}
        sys.stderr.write(f"{domain} {job.method} {job.seed}: {rows[domain]}\n")
    return rows


def _finished(folder: Path) -> dict | None:
    """The results of a run that came to its end, with its seconds."""
    try:
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        found = json.loads((folder / "all_results.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    return {**found, **seconds}


def _start(
    job: Job, settings: Settings, *, out: Path | None = None, zero_shot_model: Path | None = None
) -> dict | None:
    recipe, flags, _ = METHODS[job.method]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = out or folder / "out"
        command = [
            *(sys.executable, str(RECIPES / f"{recipe}.py")),
            *("--output_dir", str(kept), "--seed", str(job.seed)),
            *("--overwrite_output", "true"),  # of a zero-shot run that was ended half way
            *("--save_strategy", "no", "--disable_tqdm", "true"),
            *("--max_length", str(settings.max_length)),
            *_data_flags(job, settings, folder),
            *DOMAINS[job.domains[0]]["flags"],
            *(flag.format(data=settings.data) for flag in flags),
            *(("--zero_shot_model", str(zero_shot_model)) if zero_shot_model else ()),
            *(("--model_name_or_path", settings.model) if settings.model else ()),
            *settings.flags,
        ]
        environment = dict(os.environ)
        if settings.threads is not None:
            environment["OMP_NUM_THREADS"] = str(settings.threads)
        began = time.perf_counter()
        finished = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment
        )
        if finished.returncode:
            sys.stderr.write(f"{' '.join(command)}\n{finished.stderr[-3000:]}\n")
            return None
        seconds = {"seconds": round(time.perf_counter() - began, 1)}
        (kept / "seconds.json").write_text(json.dumps(seconds), encoding="utf-8")
        return _finished(kept)


def _data_flags(job: Job, settings: Settings, folder: Path) -> list[str]:
    """The data of a run; training sets cut to so many rows are written beside the output."""
    limit, data = settings.max_train_rows, settings.data
    one, share = DOMAINS[job.domains[0]], METHODS[job.method][2]

    def paths(names: str) -> str:
        return ",".join(str(data / name) for name in names.split(","))

    def training(names: str) -> str:
        if limit is None:
            return paths(names)
        return ",".join(str(_cut(data / name, folder, limit)) for name in names.split(","))

    tests = [f"{name}={data / DOMAINS[name]['test']}" for name in job.domains]
    flags = ["--target_test", ",".join(tests)]
    if share == "as source":
        flags += ["--source_train", training(one["target"])]
        dev = one["target_dev"]
        return flags + (["--source_validation", paths(dev)] if dev else [])
    flags += ["--source_train", training(one["source"])]
    flags += ["--source_validation", paths(one["source_dev"])]
    if "text" in share:
        flags += ["--target_unlabeled", training(one["target"])]
    if "labels" in share:
        flags += ["--target_train", training(one["target"])]
    return flags


def _cut(path: Path, folder: Path, limit: int) -> Path:
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line]
    cut = folder / path.name
    kept = random.Random(0).sample(lines, min(limit, len(lines)))  # the same in every cell
    cut.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return cut
