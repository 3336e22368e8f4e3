"""The runs of ``benchmarks/transfer.py``: a recipe in a process of its own, and its results."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from processes import finished, run_recipe
from results import read_rows

from xlingual.comparing.methods import METHODS as COMPARED, Method


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
        "translations": "topic/zh.train.jsonl",  # row by row, by people
    },
    "nli": {
        "group": "nli", "source": "nli/en.train.jsonl,nli/en_sick.train.jsonl",
        "source_dev": "nli/en_xnli.dev.jsonl",
        "target": "nli/zh_ocnli.train.jsonl", "target_dev": "nli/zh_ocnli.test.jsonl",
        "test": "nli/zh_xnli.dev.jsonl", "flags": ["--num_train_epochs", "3", "--task", "pair"],
    },
}  # fmt: skip
REVIEWS = ("hotel", "books", "computer", "phone", "clothes")
# The methods of `compare`, and those that it does not have.
METHODS = {
    **COMPARED,
    "distill": Method("distill", {}, ("target_unlabeled",)),  # its teacher: the zero-shot model
    "distill_fused": Method("distill", {}, ("target_unlabeled",)),  # of several seeds
    # These two run for their recipe's own length, not for the set's fine-tuning epochs: a round of
    # SHOT is one pass, and DP-SGD takes 200 steps.
    "source_free": Method("source_free", {"num_train_epochs": 1}, ("target_unlabeled",)),
    "private": Method("private", {"private_epsilon": 8, "max_steps": 200}),
}
# The flag by which a recipe takes a zero-shot model.
_TAKES_MODEL = {
    "unlabeled_target": "zero_shot_model", "few_shot": "zero_shot_model",
    "language_adapters": "zero_shot_model",
    "source_free": "model_name_or_path", "distill": "teachers",
}  # fmt: skip
NUM_FUSED = 3  # teachers of distill_fused: of the run's own seed and the next ones
_FILES = {
    "dictionary": "parallel/cedict_1_0_ts_utf-8_mdbg.txt.gz",
    "bitext": "parallel/tatoeba.tsv.gz,parallel/3am_train.tsv.gz",
}
# A method that needs one of these runs once per domain; others run once per source.
OF_TARGET = ("target_unlabeled", "target_train")
NOT_FOR = {
    ("nli", "bitext_consistency"),  # it labels single sentences
    *((name, "translations") for name, one in DOMAINS.items() if "translations" not in one),
}
_SCORES = ("accuracy", "macro_f1", "majority_accuracy")

Rows = dict[str, dict[str, float]]  # by set


@dataclass(frozen=True)
class Settings:
    """The settings that all runs of a benchmark share."""

    data: Path
    kept: Path  # folder of the zero-shot models
    max_train_rows: int | None
    model: str | None
    max_length: int
    flags: list[str]

    def cell(self, domain: str, method: str, seed: int) -> dict:
        """The cell that a result belongs to."""
        return {
            "domain": domain, "method": method, "seed": seed,
            "max_train_rows": self.max_train_rows, "model": self.model,
            "max_length": self.max_length, "flags": self.flags,
        }  # fmt: skip

    def zero_shot_folder(self, group: str, seed: int) -> Path:
        """The folder of the zero-shot model of a source and a seed."""
        settings = [self.max_train_rows, self.model, self.max_length, self.flags]
        digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:8]
        return self.kept / f"{group}-{seed}-{digest}"


class Job(NamedTuple):
    """One run: a method with a seed, scored on one set, or on all sets of its source."""

    domains: tuple[str, ...]
    method: str
    seed: int

    @property
    def name(self) -> str:
        """A readable name for the log."""
        return f"{'+'.join(self.domains)} {self.method} {self.seed}"

    @property
    def flag_for_model(self) -> str | None:
        """The flag by which it takes a zero-shot model; None if it takes none."""
        return _TAKES_MODEL.get(METHODS[self.method].recipe)

    @property
    def seeds_of_models(self) -> range:
        """The seeds of the zero-shot models that it takes."""
        number = NUM_FUSED if self.method == "distill_fused" else 1
        return range(self.seed, self.seed + number if self.flag_for_model else self.seed)


def run(job: Job, settings: Settings, zero_shot: Sequence[Future] = ()) -> Rows | None:
    """One run in a process of its own; its rows by set, or None if it failed.

    Args:
        job: The run.
        settings: Those of the benchmark.
        zero_shot: The runs of the zero-shot models that this one starts from.
    """
    before = [future.result() for future in zero_shot]
    if None in before:
        return None
    group = DOMAINS[job.domains[0]]["group"]
    models = [settings.zero_shot_folder(group, seed) for seed in job.seeds_of_models]
    if job.method == "zero_shot":
        model = settings.zero_shot_folder(group, job.seed)
        found = finished(model) or _start(job, settings, out=model)
    elif job.flag_for_model == "zero_shot_model" and _is_adapter(models[0]):
        before, found = [], _start(job, settings)  # they start from no adapter
    else:
        found = _start(job, settings, zero_shot=models)
    if found is None:
        return None
    rows = {}
    for domain in job.domains:
        name = "zh" if len(job.domains) == 1 else f"zh_{domain}"
        row = {f"eval_zh_{key}": found[f"eval_{name}_{key}"] for key in _SCORES}
        seconds, memory = found["seconds"], found["peak_memory_mib"]
        if before:
            first = [rows_of_model[domain] for rows_of_model in before]
            row["zero_shot_seconds"] = round(sum(each["seconds"] for each in first), 1)
            seconds += row["zero_shot_seconds"]
            memory = max(memory, *(each["peak_memory_mib"] for each in first))
        rows[domain] = {**row, "seconds": round(seconds, 1), "peak_memory_mib": memory}
        sys.stderr.write(f"{domain} {job.method} {job.seed}: {rows[domain]}\n")
    return rows


def _is_adapter(folder: Path) -> bool:
    return (folder / "adapter_config.json").is_file()


def _start(
    job: Job, settings: Settings, *, out: Path | None = None, zero_shot: Sequence[Path] = ()
) -> dict | None:
    method = METHODS[job.method]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = out or folder / "out"
        flags = {
            "seed": job.seed,
            "overwrite_output": True,  # of a zero-shot run that was killed half-way
            "save_strategy": "no",
            "disable_tqdm": True,
            "max_length": settings.max_length,
            **({"model_name_or_path": settings.model} if settings.model else {}),
            **method.flags,
            **_data_flags(job, settings, folder),
            **({job.flag_for_model: ",".join(map(str, zero_shot))} if zero_shot else {}),
        }
        values = [f"--{key}={value}" for key, value in flags.items()]
        return run_recipe(
            method.recipe,
            [*DOMAINS[job.domains[0]]["flags"], *values, *settings.flags],
            output_dir=kept,
        )


def _data_flags(job: Job, settings: Settings, folder: Path) -> dict[str, str]:
    """The data flags of a run; samples of training sets are written beside the output."""
    limit, data = settings.max_train_rows, settings.data
    one, method = DOMAINS[job.domains[0]], METHODS[job.method]

    def paths(names: str) -> str:
        return ",".join(str(data / name) for name in names.split(","))

    def training(names: str) -> str:
        if limit is None:
            return paths(names)
        return ",".join(str(_cut(data / name, folder, limit)) for name in names.split(","))

    tests = [f"{name}={data / DOMAINS[name]['test']}" for name in job.domains]
    flags = {"target_test": ",".join(tests)}
    if job.method == "supervised":  # the target takes the place of the source
        flags["source_train"] = training(one["target"])
        if one["target_dev"]:
            flags["source_validation"] = paths(one["target_dev"])
        return flags
    if method.recipe != "source_free":
        flags["source_train"] = training(one["source"])
        flags["source_validation"] = paths(one["source_dev"])
    for role in (*method.needs, *method.uses):
        if role in _FILES:
            flags[role] = paths(_FILES[role])
        elif role in OF_TARGET:
            flags[role] = ",".join(training(DOMAINS[name]["target"]) for name in job.domains)
        elif role == "translations":
            flags[role] = str(_texts(Path(training(one[role])), folder))
    return flags


def _texts(path: Path, folder: Path) -> Path:
    """The rows' texts, a line each."""
    lines = folder / f"{path.stem}.txt"
    texts = [row["text"] for row in read_rows(path)]
    lines.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return lines


def _cut(path: Path, folder: Path, limit: int) -> Path:
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line]
    cut = folder / path.name
    kept = random.Random(0).sample(lines, min(limit, len(lines)))  # the same in every cell
    cut.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return cut
