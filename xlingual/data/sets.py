"""All the data of one run: loaded, named, and checked against each other."""

from __future__ import annotations

import logging
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset, concatenate_datasets

from xlingual.data.corpus import ROLES, embedded_corpus
from xlingual.data.mixing import mix_domains
from xlingual.data.readers.cleaning import find_overlap, write_rejected
from xlingual.data.readers.columns import Columns
from xlingual.data.readers.label_bins import parse_label_bins
from xlingual.data.readers.loading import load_source
from xlingual.data.readers.sources import parse_sources
from xlingual.errors import ConfigError, LabelSpaceError
from xlingual.labels import LabelSpace, parse_label_map
from xlingual.tasks import Task, get_task

__all__ = ["TransferData", "hold_out", "load_transfer_data"]

logger = logging.getLogger(__name__)

Sets = dict[str, Dataset]

_TRAINING = ("source_train", "target_train")


@dataclass(frozen=True)
class TransferData:
    """The data sets of one run, by role and then by name.

    Attributes:
        task: What the columns mean.
        label_space: The labels of the source.
        target_label_space: The labels of the target; another object only where a recipe allows it.
        mixture_weights: Weight of each training set in the loss, by role and name.
        rejected: Rows that were left out, each with its file, row number and reason.
    """

    task: Task
    label_space: LabelSpace
    target_label_space: LabelSpace
    source_train: Sets = field(default_factory=dict)
    source_validation: Sets = field(default_factory=dict)
    target_train: Sets = field(default_factory=dict)
    target_unlabeled: Sets = field(default_factory=dict)
    target_validation: Sets = field(default_factory=dict)
    target_test: Sets = field(default_factory=dict)
    mixture_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rejected: Sequence[dict[str, Any]] = ()

    def mixture(self, *roles: str) -> Dataset:
        """The training sets of these roles (none named: of all) as one weighted data set."""
        wanted = roles or _TRAINING
        source, target = (getattr(self, role) if role in wanted else {} for role in _TRAINING)
        weights = [
            self.mixture_weights.get(role, {}) if role in wanted else {} for role in _TRAINING
        ]
        return mix_domains(source, target, source_weights=weights[0], target_weights=weights[1])

    def texts(self, *roles: str) -> list[str]:
        """All texts of these roles, both sides of a pair, for training without labels."""
        return [
            text
            for role in roles
            for rows in getattr(self, role).values()
            for column in self.task.text_columns
            for text in rows[column]
        ]

    def selection_sets(self, source_language: str, target_language: str) -> Sets:
        """What is evaluated while training: the validation rows of each language, pooled."""
        pooled = {}
        for language, role in (
            (source_language, "source_validation"),
            (target_language, "target_validation"),
        ):
            if parts := list(getattr(self, role).values()):
                pooled[language] = concatenate_datasets(parts)
        return pooled

    def evaluation_sets(self, role: str, language: str) -> Sets:
        """The sets of a role under their metric names: ``zh``, or ``zh_hotel``, ``zh_books``."""
        sets: Sets = getattr(self, role)
        if len(sets) == 1:
            return {language: next(iter(sets.values()))}
        return {f"{language}_{name}": rows for name, rows in sets.items()}


def load_transfer_data(
    *,
    use: Sequence[str],
    required: Sequence[str] = ("source_train",),
    task: str = "sequence",
    label_map: str | None = None,
    label_bins: str | None = None,
    max_train_rows: int | None = None,
    allow_other_target_labels: bool = False,
    label_space: LabelSpace | None = None,
    rejected_to: str | None = None,
    seed: int = 0,
    **options: str | None,
) -> TransferData:
    """Load what a recipe uses, align its labels by name and check the sets against each other.

    Without any data argument the embedded corpus is used. Without ``source_validation`` a tenth
    of the source training rows is held out. The labels of ``target_unlabeled`` are never read.

    Args:
        use: The roles that the recipe reads; others that are given are ignored with a warning.
        required: The roles that must be there.
        task: The task's name.
        label_map: Renames labels, ``"1=positive,0=negative"``.
        label_bins: Makes classes of scores, before ``label_map``: ``"negative<=2,positive>=4"``.
        max_train_rows: Keep a random sample of so many rows of each training set.
        allow_other_target_labels: Whether the target may have a label space of its own.
        label_space: The labels of a trained model, where no source row is read.
        rejected_to: Folder for ``rejected_rows.jsonl``, written if a row was rejected.
        seed: Seed of sampling and holding out.
        options: A spec for each role (``source_train="reviews.csv"``, ...) and what is known of
            the files, as for ``Columns`` (``text_column="review"``, ``encoding="big5"``, ...);
            names that are left open are guessed and said aloud.

    Raises:
        ConfigError: A role that the recipe needs has no spec, or a spec is malformed.
        DataError: A set cannot be read or has no usable row.
        LabelSpaceError: A target set has labels that the source does not.
    """
    the_task = get_task(task)
    given = {role: spec for role in ROLES if (spec := options.pop(role, None))}
    columns = Columns(**options)
    renames = parse_label_map(label_map)
    bins = parse_label_bins(label_bins)
    sets: dict[str, Sets] = {role: {} for role in ROLES}
    weights: dict[str, dict[str, float]] = {role: {} for role in _TRAINING}
    rejected: list[dict[str, Any]] = []
    if not given:
        sets.update(_embedded(use, the_task))
    else:
        _check_given(given, use=use, required=required)
    for role in (role for role in ROLES if role in given and role in use):
        for source in parse_sources(given[role], default_name=role):
            loaded = load_source(
                source,
                task=the_task,
                columns=columns,
                label_map=renames,
                label_bins=bins,
                labels="drop" if role == "target_unlabeled" else "required",
            )
            sets[role][source.name] = loaded.dataset
            rejected += loaded.rejected
            if role in _TRAINING:
                weights[role][source.name] = source.weight
    if rejected and rejected_to is not None and PartialState().is_main_process:
        path = Path(rejected_to) / "rejected_rows.jsonl"
        logger.warning("rejected rows: %d, listed in %s", write_rejected(path, rejected), path)
    for role in _TRAINING:
        sets[role] = {
            name: _sample(rows, max_train_rows, seed) for name, rows in sets[role].items()
        }
    if "source_validation" in use and not sets["source_validation"]:
        _hold_out_validation(sets, the_task, seed)
    source_space, target_space = _label_spaces(
        sets, the_task, label_space, allow_other_target_labels=allow_other_target_labels
    )
    _warn_of_overlap(sets, the_task)
    return TransferData(
        task=the_task,
        label_space=source_space,
        target_label_space=target_space,
        mixture_weights=weights,
        rejected=rejected,
        **sets,
    )


def _check_given(given: Mapping[str, str], *, use: Sequence[str], required: Sequence[str]) -> None:
    for role in given.keys() - set(use):
        logger.warning("--%s is not used by this recipe and is ignored", role)
    missing = [role for role in required if role not in given]
    if missing:
        raise ConfigError(
            f"this recipe needs {' and '.join('--' + role for role in missing)} beside "
            f"{', '.join('--' + role for role in given)}; or leave all data arguments out to run "
            "on the embedded corpus"
        )


def _embedded(use: Sequence[str], task: Task) -> dict[str, Sets]:
    if task.name != "sequence":
        raise ConfigError(
            f"the embedded corpus is for the sequence task; give --source_train for {task.name}"
        )
    logger.warning("no data given: running on the embedded corpus (product and hotel reviews)")
    corpus = embedded_corpus()
    names = {"source": "products", "target": "hotel"}
    return {role: {names[role.split("_")[0]]: corpus[role]} for role in ROLES if role in use}


def _sample(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    if limit is None or len(dataset) <= limit:
        return dataset
    return dataset.shuffle(seed=seed).select(range(limit))


def hold_out(
    dataset: Dataset, *, share: float = 0.1, label_column: str = "label", seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split off a share of the rows, the same share of every label.

    A label with one row stays in the first part.

    Returns:
        The larger part and the held-out rows, both in the order of the file.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(dataset[label_column]):
        by_label[str(label)].append(row)
    generator = random.Random(seed)
    held: set[int] = set()
    for label in sorted(by_label):
        rows = by_label[label]
        size = max(1, round(share * len(rows))) if len(rows) > 1 else 0
        held.update(generator.sample(rows, size))
    rest = [row for row in range(len(dataset)) if row not in held]
    return dataset.select(rest), dataset.select(sorted(held))


def _hold_out_validation(sets: dict[str, Sets], task: Task, seed: int) -> None:
    """Take a tenth of every source set as validation; too small a set gives none."""
    for name, rows in sets["source_train"].items():
        rest, held = hold_out(rows, label_column=task.label_column, seed=seed)
        if len(held) and len(rest):
            sets["source_train"][name], sets["source_validation"][name] = rest, held
            logger.warning(
                "no --source_validation: %d of the %d rows of %s are held out for it",
                len(held), len(rows), name,
            )  # fmt: skip


def _label_names(sets: Sets, task: Task) -> Counter[str]:
    found: Counter[str] = Counter()
    for rows in sets.values():
        for value in rows[task.label_column]:
            found.update(value if isinstance(value, list) else [value])
    return found


def _label_spaces(
    sets: dict[str, Sets],
    task: Task,
    known: LabelSpace | None = None,
    *,
    allow_other_target_labels: bool,
) -> tuple[LabelSpace, LabelSpace]:
    """The source's labels, and the target's where it may have others."""
    source = known or LabelSpace.from_labels(_label_names(sets["source_train"], task))
    if len(source) < 2 and task.name != "multi_label":
        raise LabelSpaceError(
            f"source_train has one label only ({source.names[0]}); a classifier needs two or more; "
            "check --label_column and --label_map"
        )
    checked = ("source_validation", "target_train", "target_validation", "target_test")
    try:
        for role in checked:
            for name, rows in sets[role].items():
                source.check_covers(_label_names({name: rows}, task), where=f"{role} {name!r}")
    except LabelSpaceError:
        if not (allow_other_target_labels and sets["target_train"]):
            raise
        target = LabelSpace.from_labels(_label_names(sets["target_train"], task))
        for role in ("target_validation", "target_test"):
            for name, rows in sets[role].items():
                target.check_covers(_label_names({name: rows}, task), where=f"{role} {name!r}")
        logger.warning(
            "the target has other labels (%s) than the source (%s): the head is swapped and the "
            "encoder kept", ", ".join(target.names), ", ".join(source.names),
        )  # fmt: skip
        return source, target
    return source, source


def _warn_of_overlap(sets: dict[str, Sets], task: Task) -> None:
    """Say how many test rows were trained on: their score would be memory, not transfer."""
    training = [rows for role in _TRAINING for rows in sets[role].values()]
    for name, rows in sets["target_test"].items():
        repeated = find_overlap(training, rows, columns=task.text_columns)
        if repeated:
            logger.warning(
                "%d of the %d rows of target_test %r are also in the training data; "
                "their score says nothing about transfer", repeated, len(rows), name,
            )  # fmt: skip
