"""Parse data arguments such as ``hotel=zh_hotel.jsonl*0.3,org/dataset:zh@train``."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from xlingual.errors import ConfigError

__all__ = ["FILE_FORMATS", "DataSource", "file_format", "looks_local", "parse_sources"]

FILE_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "txt",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
}
"""File name endings (before an optional ``.gz``) and the formats they stand for."""

_GRAMMAR = (
    "[name=]path[*weight], several separated by commas, where path is a local file "
    "(csv, tsv, txt, json, jsonl, parquet, conll; optionally .gz), a part of one (file.json#train, "
    "file.xlsx#Sheet2), a folder written by save_to_disk, or hub_id[:config][@split]"
)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SPLIT = re.compile(r"(?P<path>.+)@(?P<split>[\w.+%:\[\]-]+)")


@dataclass(frozen=True)
class DataSource:
    """One data set: where it is, what to call it, and how much it counts.

    Args:
        name: The name in results and file names (``eval_zh_hotel_accuracy``).
        path: A local file or folder, or the id of a data set on the hub.
        config: Configuration of a hub data set (``"zh"``).
        split: Split of a folder or hub data set; ``None`` takes the only one, or ``"train"``.
        weight: Share of this set in a mixture, relative to the others; must be positive.
        part: The sheet of a workbook (``"Sheet2"``) or the place in a JSON file (``"data/train"``).
        is_named: Whether the user gave the name. A name that was only derived from the path gives
            way to a ``domain`` column in the file.

    Raises:
        ConfigError: The name cannot be part of a file name, or the weight is not positive.
    """

    name: str
    path: str
    config: str | None = None
    split: str | None = None
    weight: float = 1.0
    is_named: bool = False
    part: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ConfigError(
                f"the name of a data set is made of letters, digits, '_', '-' and '.'; "
                f"got {self.name!r} for {self.path!r}"
            )
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise ConfigError(
                f"the weight of a data set must be a number above 0; got {self.weight:g} for "
                f"{self.path!r} (to leave a set out, do not list it)"
            )

    def __str__(self) -> str:
        config = f":{self.config}" if self.config else ""
        split = f"@{self.split}" if self.split else ""
        part = f"#{self.part}" if self.part else ""
        return f"{self.path}{config}{split}{part}"

    @property
    def is_local(self) -> bool:
        """Whether the path is on this machine, or looks as if it should be."""
        return os.path.exists(os.path.expanduser(self.path)) or looks_local(self.path)


def file_format(path: str) -> str | None:
    """The format that a file name stands for, ignoring ``.gz``; None if it is unknown."""
    name = path.lower().removesuffix(".gz")
    return FILE_FORMATS.get(os.path.splitext(name)[1])


def looks_local(path: str) -> bool:
    """Whether a path that may not exist was meant as a file or folder, not as a hub id."""
    return (
        file_format(path) is not None
        or path.startswith((".", "/", "~", "\\"))
        or path.endswith("/")
        or "\\" in path
        or path.count("/") > 1
        or _DRIVE.match(path) is not None
    )


def parse_sources(spec: str, *, default_name: str) -> list[DataSource]:
    r"""Parse a data argument: comma-separated ``[name=]path[#part][*weight]``.

    A path that exists is taken literally, so names of files may contain ``,``, ``=``, ``*``, ``@``
    or ``#``; drive letters (``C:\data\train.csv``) are not mistaken for a hub configuration.

    Args:
        spec: The value of the argument.
        default_name: The argument's own name, such as ``"target_test"``: used in errors, and as the
            name of a path that yields no usable one.

    Returns:
        The data sets in the given order, with unique names.

    Raises:
        ConfigError: The specification cannot be read, a weight is not positive, or two sets were
            given the same name.

    Example:
        >>> [source.name for source in parse_sources("a=x.csv*0.3,y.jsonl", default_name="train")]
        ['a', 'y']
    """
    sources = [
        _parse_entry(entry, spec=spec, default_name=default_name) for entry in _split_entries(spec)
    ]
    return _with_unique_names(sources, default_name=default_name)


def _split_entries(spec: str) -> Iterator[str]:
    """Split at commas, except where the pieces around a comma form an existing path."""
    pieces = spec.split(",")
    start = 0
    while start < len(pieces):
        end = len(pieces)
        while end > start + 1 and _existing(",".join(pieces[start:end]).strip()) is None:
            end -= 1
        yield ",".join(pieces[start:end]).strip()
        start = end


@dataclass(frozen=True)
class _Reading:
    """One way to read an entry: its path once a name or weight is removed."""

    path: str
    name: str | None = None
    weight: str | None = None
    split: str | None = None
    part: str | None = None


def _readings(entry: str) -> Iterator[_Reading]:
    """Every way to read an entry, the most literal first."""
    whole = _Reading(entry)
    name, equals, rest = entry.partition("=")
    is_name = bool(equals) and not re.search(r"[\\/:,]", name)
    for reading in (whole, *([_Reading(rest.strip(), name=name.strip())] if is_name else [])):
        yield reading
        path, star, weight = reading.path.rpartition("*")
        if star:
            yield replace(reading, path=path.strip(), weight=weight.strip())


def _existing(entry: str) -> _Reading | None:
    """The first reading of an entry whose path exists on this machine."""
    for reading in _readings(entry):
        if reading.weight is not None and not _is_number(reading.weight):
            continue
        split = _SPLIT.fullmatch(reading.path)
        if _exists(reading.path):
            return reading
        if split and _exists(split["path"]):
            return replace(reading, path=split["path"], split=split["split"])
        path, part = _split_part(reading.path)
        if part and _exists(path):
            return replace(reading, path=path, part=part)
    return None


def _split_part(path: str) -> tuple[str, str | None]:
    """Split ``#part`` off a local path, at the first ``#`` after a known file name ending.

    A part contains no comma or asterisk, which separate the entries and their weights.
    """
    for match in re.finditer("#", path):
        file, part = path[: match.start()], path[match.end() :].strip()
        if file_format(file) and part and not re.search("[,*]", part):
            return file, part
    return path, None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _exists(path: str) -> bool:
    return bool(path) and os.path.exists(os.path.expanduser(path))


def _parse_entry(entry: str, *, spec: str, default_name: str) -> DataSource:
    def complain(problem: str) -> ConfigError:
        return ConfigError(f"--{default_name} {spec!r}: {problem}; expected {_GRAMMAR}")

    if not entry:
        raise complain(
            "a path before or after a comma is missing" if spec.strip() else "it is empty"
        )
    reading = _existing(entry) or list(_readings(entry))[-1]
    if reading.name == "":
        raise complain(f"there is no name before '=' in {entry!r}")
    if not reading.path:
        raise complain(f"there is no path in {entry!r}")
    if reading.weight is not None and not _is_number(reading.weight):
        hint = " (patterns are not expanded: list the files)" if looks_local(entry) else ""
        raise complain(
            f"the weight after '*' must be a number above 0, got {reading.weight!r}{hint}"
        )
    weight = 1.0 if reading.weight is None else float(reading.weight)
    path, config, split, part = _split_location(reading)
    name = reading.name or _name_of(path, config or part) or default_name
    is_named = reading.name is not None
    try:
        return DataSource(name, path, config, split, weight, is_named=is_named, part=part)
    except ConfigError as error:
        raise complain(str(error)) from None


def _split_location(reading: _Reading) -> tuple[str, str | None, str | None, str | None]:
    """Split ``:config`` and ``@split`` off a hub id, ``@split`` and ``#part`` off a local path."""
    path, config, split, part = reading.path, None, reading.split, reading.part
    if _exists(path) or file_format(path):
        return path, None, split, part
    without, named = _split_part(path)
    if named:
        return without, None, split, named
    match = _SPLIT.fullmatch(path)
    if match:
        path, split = match["path"], match["split"]
    if not looks_local(path):
        path, _, config = path.partition(":")
    return path, config or None, split, part


def _name_of(path: str, detail: str | None) -> str:
    """A name from the last part of a path: ``x/en.train.jsonl.gz`` -> ``en_train``."""
    stem = _parts(path)[-1] if _parts(path) else ""
    if file_format(stem):
        stem = os.path.splitext(stem[:-3] if stem.lower().endswith(".gz") else stem)[0]
    return _as_name(f"{stem}_{detail}" if detail else stem)


def _as_name(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_-")


def _parts(path: str) -> list[str]:
    return [part for part in PurePosixPath(path.replace("\\", "/")).parts if part.strip("./~")]


def _with_unique_names(sources: Iterable[DataSource], *, default_name: str) -> list[DataSource]:
    """Make derived names unique by their folder, then by number; refuse equal given names."""
    sources = list(sources)
    given = [source.name for source in sources if source.is_named]
    for name in given:
        if given.count(name) > 1:
            raise ConfigError(
                f"--{default_name} names two data sets {name!r}; give each its own name"
            )
    taken = set(given)
    unique = []
    for source in sources:
        if not source.is_named:
            source = replace(source, name=_free_name(source, taken))
        taken.add(source.name)
        unique.append(source)
    return unique


def _free_name(source: DataSource, taken: set[str]) -> str:
    name, parts = source.name, _parts(source.path)
    if name in taken and len(parts) > 1 and _as_name(parts[-2]):
        name = f"{_as_name(parts[-2])}_{name}"
    number = 2
    base = name
    while name in taken:
        name = f"{base}_{number}"
        number += 1
    return name
