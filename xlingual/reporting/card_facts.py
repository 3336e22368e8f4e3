"""Facts for a model card on the base model, licence, data and cost, as far as they are known."""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from huggingface_hub import ModelCard, hf_hub_download

from xlingual.data import ROLES, TransferData
from xlingual.data.readers.sources import DataSource, looks_local, parse_sources
from xlingual.errors import ConfigError
from xlingual.evaluation import TransferReport
from xlingual.models.loading import embedded_encoder
from xlingual.models.pypi_encoders import local_path

__all__ = [
    "BaseFacts",
    "LicenceFacts",
    "SourceFacts",
    "base_facts",
    "cost_words",
    "data_lines",
    "energy_words",
    "hub_datasets",
    "licence_facts",
    "protocol_lines",
    "source_of",
    "sources_of",
    "widget_examples",
]

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", flags=re.ASCII)
_EMBEDDED = "the embedded corpus of xlingual"
_WIDGET_LENGTH = 60
_WRITTEN = (
    "房间干净又安静，服务也很好，下次还来。",
    "手機用了三天就開不了機，客服也不回應。",
    "check in 有点慢，不过位置很方便。",
)
_SELECTION = {
    "last": "The weights at the end of a fixed budget were kept, without any validation score.",
    "average": (
        "The mean of weight snapshots from the last half of training was kept, without any "
        "validation score."
    ),
    "source_dev": "The weights with the best score on source validation data were kept.",
    "target_dev": (
        "**ORACLE**: the weights with the best score on *labelled target validation data* were "
        "kept."
    ),
}


@dataclass(frozen=True)
class BaseFacts:
    """The base model: Python code and words that name it, its hub id if any, and its metadata."""

    code: str
    hub_id: str | None
    words: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LicenceFacts:
    """Metadata keys of the licence (none if it is not known), and a sentence."""

    metadata: Mapping[str, str]
    words: str


@dataclass(frozen=True)
class SourceFacts:
    """The origin of a set: a description, and its hub id if it is public there."""

    words: str
    hub_id: str | None = None
    is_public: bool = False


def base_facts(model_name_or_path: str | None, revision: str | None = None) -> BaseFacts:
    """Facts about the base model; its card is read from its folder, the cache or the hub."""
    if model_name_or_path in (None, "", embedded_encoder()):
        folder = embedded_encoder()
        words = "the bilingual encoder that comes with the package (6.7 million parameters)"
        code = "xlingual.embedded_encoder()"
        return BaseFacts(code, None, words, _card_metadata(Path(folder) / "README.md"))
    name = str(model_name_or_path)
    if (folder := local_path(name)) != name:
        code = f'xlingual.pypi_encoder("{name.removeprefix("pypi:")}")'
        words = f"`{name}`, a pretrained encoder from a PyPI package"
        return BaseFacts(code, None, words, _card_metadata(Path(folder) / "README.md"))
    if Path(name).exists() or not _HUB_ID.fullmatch(name):
        base = f"the local folder `{Path(name).name}`"
        code = f'"path/to/{Path(name).name}"'  # its full path is private
        return BaseFacts(code, None, base, _card_metadata(Path(name) / "README.md"))
    words = f"[{name}](https://huggingface.co/{name})" + (f" at `{revision}`" if revision else "")
    try:
        card = Path(hf_hub_download(name, "README.md", revision=revision))
    except Exception as error:  # no network error may cost a finished run
        logger.info("the card of %s cannot be read (%s): its licence is not known", name, error)
        return BaseFacts(f'"{name}"', name, words)
    return BaseFacts(f'"{name}"', name, words, _card_metadata(card))


def _card_metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return ModelCard.load(path, ignore_metadata_errors=True).data.to_dict()
    except Exception as error:  # a stranger's YAML: anything may be wrong with it
        logger.info("%s has no metadata that can be read: %s", path, error)
        return {}


def licence_facts(base: BaseFacts, *, asked: str | None = None) -> LicenceFacts:
    """The licence on the base model's card, else the one that was asked for, else none."""
    keys = ("license", "license_name", "license_link")
    of_base = {key: str(base.metadata[key]) for key in keys if base.metadata.get(key)}
    if "license" in of_base:
        name = of_base.get("license_name", of_base["license"])
        words = f"`{name}`, the licence on the card of the base model."
        if asked and asked != of_base["license"]:
            logger.warning(
                "the base model is under %s, and the run asked for %s; the card states that of the "
                "base: edit it if you may license the weights differently",
                name,
                asked,
            )
            words += f" The run asked for `{asked}`, which may not be compatible with it."
        return LicenceFacts(of_base, f"{words} The data may add conditions of its own.")
    if asked:
        words = f"`{asked}`, as set by the author of the run; the base model's card names none."
        return LicenceFacts({"license": asked}, words)
    return LicenceFacts(
        {},
        "Not stated: no licence could be read from the base model's card, and the run set none. "
        "Ask before you use the model.",
    )


def sources_of(
    settings: Mapping[str, Any], data: TransferData | None
) -> Mapping[str, Sequence[DataSource]]:
    """The sources by role, from the loaded data or else from the settings of a run."""
    if data is not None:
        return data.sources
    return {role: _parsed(role, settings[role]) for role in ROLES if settings.get(role)}


def _parsed(role: str, spec: str) -> list[DataSource]:
    try:
        return parse_sources(spec, default_name=role)
    except ConfigError:
        return []


def _facts(source: DataSource) -> SourceFacts:
    if looks_local(source.path) or not _HUB_ID.fullmatch(source.path):
        return SourceFacts(f"local file {Path(source.path).name}")
    details = "".join([f":{source.config}" * bool(source.config), f"@{source.split or 'train'}"])
    return SourceFacts(f"{source.path}{details}", source.path, is_public=True)


def source_of(set_name: str, role: str, read: Mapping[str, Sequence[DataSource]]) -> SourceFacts:
    """The origin of an evaluated set, found by its name (``zh``, ``zh_hotel``)."""
    if not read:
        return SourceFacts(_EMBEDDED, is_public=True)
    sources = list(read.get(role, ()))
    if not sources and role == "source_validation":
        return SourceFacts("a tenth of the source training rows, held out")
    named = [source for source in sources if set_name.split("_", 1)[-1] == source.name]
    chosen = named or sources * (len(sources) == 1)
    return _facts(chosen[0]) if chosen else SourceFacts("not known")


def hub_datasets(read: Mapping[str, Sequence[DataSource]]) -> list[str]:
    """Hub ids of the training data."""
    ids = [
        facts.hub_id
        for role in ("source_train", "target_train", "target_unlabeled")
        for facts in map(_facts, read.get(role, ()))
        if facts.hub_id
    ]
    return list(dict.fromkeys(ids))


def data_lines(read: Mapping[str, Sequence[DataSource]], data: TransferData | None) -> list[str]:
    """A line for each role that was read, and the numbers of rows if they are known."""
    lines = [
        f"{role.replace('_', ' ')}: {', '.join(_facts(source).words for source in read[role])}"
        for role in ROLES
        if read.get(role)
    ]
    if not read:
        lines = [f"all sets: {_EMBEDDED}"]
    counted = _rows_read(data)
    if counted:
        lines.append("rows: " + ", ".join(f"{role} {n:,}" for role, n in counted.items()))
    return lines


def _rows_read(data: TransferData | None) -> dict[str, int]:
    if data is None:
        return {}
    counts = {role: sum(map(len, getattr(data, role).values())) for role in ROLES}
    return {role.replace("_", " "): n for role, n in counts.items() if n}


def protocol_lines(
    selection: str, settings: Mapping[str, Any], data: TransferData | None
) -> list[str]:
    """Sentences on the target text and labels that were used, and how weights were selected."""
    lines = [_SELECTION.get(selection, f"Selection: {selection}.")]
    shots = settings.get("shots_per_label")
    if shots:
        lines.append(
            f"Up to {shots} labelled target rows per label were used, to train on and to choose "
            "between the zero-shot and the few-shot model."
        )
    if data is None:
        lines.append("It was not recorded which other target rows were used.")
        return lines
    rows = _rows_read(data)
    if not shots:
        count = rows.get("target train", 0)
        labels = f"{count:,} labelled target rows" if count else "no target labels"
        lines.append(f"Training used {labels}.")
    if count := rows.get("target unlabeled", 0):
        lines.append(f"{count:,} target texts were used without their labels.")
    if settings.get("correct_label_shift"):
        lines.append(
            "A shift of the output bias to the class shares of these texts was requested; "
            "`label_shift_corrected` in the results tells whether it was applied."
        )
    if selection == "target_dev":
        count = rows.get("target validation", 0)
        lines.append(f"{count:,} labelled target validation rows were used to select the weights.")
    lines.append("The target test rows were read once, for the results above.")
    return lines


def widget_examples(
    report: TransferReport,
    read: Mapping[str, Sequence[DataSource]],
    rows: Mapping[str, Dataset],
) -> list[dict[str, str]]:
    """A few Chinese texts; evaluated texts only if their data is public, since the card may be."""
    pair = {"text_pair": "The room is clean."} if report.task.name == "pair" else {}
    for scores in report.targets:
        dataset = rows.get(scores.name)
        public = source_of(scores.name, "target_test", read).is_public
        if dataset is None or not public or report.task.name not in ("sequence", "pair"):
            continue
        found: dict[int, dict[str, str]] = {}
        for row, label in enumerate(scores.output.predictions):
            if int(label) not in found:
                texts = {
                    column: _short(dataset[row][column]) for column in report.task.text_columns
                }
                title = report.label_space.names[int(label)]
                found[int(label)] = {**texts, "example_title": title}
            if len(found) == min(3, len(report.label_space)):
                break
        return [found[label] for label in sorted(found)]
    return [{"text": text, **pair} for text in _WRITTEN]


def _short(text: str) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= _WIDGET_LENGTH else text[:_WIDGET_LENGTH].rstrip() + "…"


def cost_words(costs: Mapping[str, float]) -> str:
    """Training time, device and peak memory."""
    seconds = costs.get("train_runtime")
    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    else:
        device = f"CPU ({platform.machine()}, {os.cpu_count()} cores)"
    spent = "Training time was not recorded" if seconds is None else f"Training: {seconds:,.0f} s"
    memory = costs.get("peak_memory_mib")
    return f"{spent}. Device: {device}." + (f" Peak memory: {memory:,.0f} MiB." if memory else "")


def energy_words(costs: Mapping[str, float], measured_watts: float | None) -> str:
    """Energy if power was measured, else how to estimate it."""
    seconds = costs.get("train_runtime")
    formula = "kg CO2e = energy in kWh x kg CO2e per kWh of your grid"
    if measured_watts is None or seconds is None:
        return (
            "Energy and carbon: not measured. From the mean power of the machine: energy in kWh = "
            f"kW x training hours; {formula}."
        )
    energy = measured_watts * seconds / 3.6e6
    return (
        f"Energy: {energy:.3g} kWh (measured mean power {measured_watts:g} W x training time). "
        f"Carbon: not measured; {formula}."
    )
