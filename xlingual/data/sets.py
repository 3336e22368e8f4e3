"""All the data of one run: loaded, named, and checked against each other."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset, concatenate_datasets

from xlingual.config.options import DataArguments
from xlingual.data.corpus import ROLES, embedded_corpus
from xlingual.data.holdout import hold_out_validation
from xlingual.data.mixing import mix_domains
from xlingual.data.readers.cleaning import find_overlap, write_rejected
from xlingual.data.readers.columns import Columns
from xlingual.data.readers.label_bins import parse_label_bins
from xlingual.data.readers.loading import LoadedData, load_source
from xlingual.data.readers.sources import DataSource, parse_sources
from xlingual.errors import ConfigError, LabelSpaceError
from xlingual.labels import LabelSpace, parse_label_map
from xlingual.tasks import Task, get_task

__all__ = ["TransferData", "load_transfer_data"]

logger = logging.getLogger(__name__)

Sets = dict[str, Dataset]

_TRAINING = ("source_train", "target_train")


@dataclass(frozen=True)
class TransferData:
    """The data sets of one run, by role and then by name.

    Attributes:
        task: Defines the columns.
        label_space: The labels of the source.
        target_label_space: The labels of the target; they differ only where a recipe allows it.
        mixture_weights: Weight of each training set in the loss, by role and name.
        rejected: Rows that were left out, each with its file, row number and reason.
        source_language: Language of the source sets; it also names their metrics.
        target_language: Language of the target sets; it also names their metrics.
        arguments: The data arguments: files, columns, labels.
        sources: The files and hub ids that were read, by role; empty for the embedded corpus.
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
    source_language: str = "en"
    target_language: str = "zh"
    arguments: DataArguments = field(default_factory=DataArguments)
    sources: Mapping[str, Sequence[DataSource]] = field(default_factory=dict)

    def mixture(self, *roles: str) -> Dataset:
        """The training sets of these roles (by default all) as one weighted data set."""
        wanted = roles or _TRAINING
        source, target = (getattr(self, role) if role in wanted else {} for role in _TRAINING)
        weights = [
            self.mixture_weights.get(role, {}) if role in wanted else {} for role in _TRAINING
        ]
        return mix_domains(source, target, source_weights=weights[0], target_weights=weights[1])

    def pool(self, role: str) -> Dataset | None:
        """All sets of a role as one data set, without weights; None if there are none."""
        sets: Sets = getattr(self, role)
        if not sets:
            return None
        return mix_domains(sets) if role.startswith("source") else mix_domains({}, sets)

    def texts(self, *roles: str) -> list[str]:
        """All texts of these roles, both sides of a pair, for training without labels."""
        return [
            text
            for role in roles
            for rows in getattr(self, role).values()
            for column in self.task.text_columns
            for text in rows[column]
        ]

    def language(self, role: str) -> str:
        """The language of a role's texts."""
        return self.source_language if role.startswith("source") else self.target_language

    def selection_sets(self) -> Sets:
        """The sets that are evaluated during training: the pooled validation rows by language."""
        return {
            self.language(role): concatenate_datasets(list(sets.values()))
            for role in ("source_validation", "target_validation")
            if (sets := getattr(self, role))
        }

    def evaluation_sets(self, role: str) -> Sets:
        """The sets of a role under their metric names: ``zh``, or ``zh_hotel``, ``zh_books``."""
        sets: Sets = getattr(self, role)
        language = self.language(role)
        if len(sets) == 1:
            return {language: next(iter(sets.values()))}
        return {f"{language}_{name}": rows for name, rows in sets.items()}


def load_transfer_data(
    data_args: DataArguments,
    *,
    use: Sequence[str],
    required: Sequence[str] = ("source_train",),
    source_language: str = "en",
    target_language: str = "zh",
    allow_other_target_labels: bool = False,
    label_space: LabelSpace | None = None,
    rejected_to: str | None = None,
    seed: int = 0,
) -> TransferData:
    """Load the sets that a recipe uses, align their labels by name and check them together.

    Without any data argument the embedded corpus is used. Without ``source_validation`` a tenth
    of the source training rows is held out. The labels of ``target_unlabeled`` are never read.

    Args:
        data_args: The files of each role and how they are read; columns that are not named are
            guessed, and the guess is logged.
        use: The roles that the recipe reads; others that are given are ignored with a warning.
        required: The roles that must be given.
        source_language: Language of the source sets; it also names their metrics.
        target_language: Language of the target sets; it also names their metrics.
        allow_other_target_labels: Whether the target may have a label space of its own.
        label_space: The labels of a trained model, for recipes that read no source rows.
        rejected_to: Folder for ``rejected_rows.jsonl``, written if a row was rejected.
        seed: Seed of sampling and holding out.

    Raises:
        ConfigError: A role that the recipe needs is not given, or one is malformed.
        DataError: A set cannot be read or has no usable row.
        LabelSpaceError: A target set has labels that the source does not.
    """
    task = get_task(data_args.task)
    read = _reader(data_args, task)
    given = {role: spec for role in ROLES if (spec := getattr(data_args, role))}
    sources = {
        role: parse_sources(spec, default_name=role) for role, spec in given.items() if role in use
    }
    rejected: list[dict[str, Any]] = []
    if given:
        _check_given(given, use=use, required=required)
        sets, rejected = _read_sets(sources, read)
    else:
        sets = _embedded(use, task)
    if rejected_to is not None:
        _list_rejected(rejected, Path(rejected_to) / "rejected_rows.jsonl")
    for role in _TRAINING:
        sets[role] = {
            name: _sample(rows, data_args.max_train_rows, seed) for name, rows in sets[role].items()
        }
    if "source_validation" in use and not sets["source_validation"]:
        sets["source_train"], sets["source_validation"] = hold_out_validation(
            sets["source_train"], label_column=task.label_column, seed=seed
        )
    source_space, target_space = _label_spaces(
        sets, task, label_space, allow_other_target_labels=allow_other_target_labels
    )
    _warn_of_overlap(sets, task)
    return TransferData(
        task=task,
        label_space=source_space,
        target_label_space=target_space,
        mixture_weights={
            role: {source.name: source.weight for source in sources.get(role, ())}
            for role in _TRAINING
        },
        rejected=rejected,
        source_language=source_language,
        target_language=target_language,
        arguments=data_args,
        sources=sources,
        **sets,
    )


def _check_given(given: Mapping[str, str], *, use: Sequence[str], required: Sequence[str]) -> None:
    for role in given.keys() - set(use):
        logger.warning("--%s is not used by this recipe and is ignored", role)
    missing = [role for role in required if role not in given]
    if missing:
        raise ConfigError(
            f"this recipe needs {' and '.join('--' + role for role in missing)} in addition to "
            f"{', '.join('--' + role for role in given)}; or leave out all data arguments to run "
            "on the embedded corpus"
        )


def _reader(data_args: DataArguments, task: Task) -> Callable[..., LoadedData]:
    return partial(
        load_source,
        task=task,
        columns=Columns.of(data_args),
        label_map=parse_label_map(data_args.label_map),
        label_bins=parse_label_bins(data_args.label_bins),
    )


def _read_sets(
    sources: Mapping[str, Sequence[DataSource]], read: Callable[..., LoadedData]
) -> tuple[dict[str, Sets], list[dict[str, Any]]]:
    """The sets of all roles, and the rows that were rejected."""
    sets: dict[str, Sets] = {role: {} for role in ROLES}
    rejected: list[dict[str, Any]] = []
    for role, source in [(role, source) for role, named in sources.items() for source in named]:
        loaded = read(source, labels="drop" if role == "target_unlabeled" else "required")
        sets[role][source.name] = loaded.dataset
        rejected += loaded.rejected
    return sets, rejected


def _list_rejected(rejected: Sequence[dict[str, Any]], path: Path) -> None:
    if rejected and PartialState().is_main_process:
        logger.warning("rejected rows: %d, listed in %s", write_rejected(path, rejected), path)


def _embedded(use: Sequence[str], task: Task) -> dict[str, Sets]:
    if task.name != "sequence":
        raise ConfigError(
            f"the embedded corpus is for the sequence task; give --source_train for {task.name}"
        )
    logger.warning("no data given: running on the embedded corpus (product and hotel reviews)")
    corpus = embedded_corpus()
    names = {"source": "products", "target": "hotel"}
    return {
        role: {names[role.split("_")[0]]: corpus[role]} if role in use else {} for role in ROLES
    }


def _sample(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    if limit is None or len(dataset) <= limit:
        return dataset
    return dataset.shuffle(seed=seed).select(range(limit))


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
    """The label spaces of source and target, which are the same unless others are allowed."""
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
    """Warn of test rows that are trained on: their score would be memory, not transfer."""
    training = [rows for role in _TRAINING for rows in sets[role].values()]
    for name, rows in sets["target_test"].items():
        repeated = find_overlap(training, rows, columns=task.text_columns)
        if repeated:
            logger.warning(
                "%d of the %d rows of target_test %r are also in the training data; "
                "their score says nothing about transfer", repeated, len(rows), name,
            )  # fmt: skip
