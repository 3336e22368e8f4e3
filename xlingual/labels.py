"""Label names and ids, and how two data sets come to share them.

Data sets number their labels as they like: ``1`` is *positive* here and *neutral* there, and the
Chinese file is sorted another way. Ids are therefore never compared; names are.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xlingual.errors import ConfigError, LabelSpaceError

__all__ = ["LabelSpace", "normalize_label", "parse_label_map"]


_SEPARATOR = re.compile(r"_|(?<=\w)-(?=\w)")


def normalize_label(name: str) -> str:
    """The form in which two label names are compared: NFKC, case-folded, separators unified.

    A hyphen separates only between words: ``-1`` is not ``1``.

    Raises:
        LabelSpaceError: The label is no string; ids of two data sets cannot be compared.

    Example:
        >>> normalize_label(" Not_Entailment ") == normalize_label("not entailment")
        True
    """
    if not isinstance(name, str):
        raise LabelSpaceError(
            f"labels are compared by their names, not ids; got {name!r} of type "
            f"{type(name).__name__}; give the label column as strings"
        )
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(_SEPARATOR.sub(" ", folded).split())


def parse_label_map(spec: str | None) -> dict[str, str]:
    """Read ``"1=positive,0=negative"`` as a renaming of labels.

    Raises:
        ConfigError: A part has no ``=``, an empty side, or renames one label twice.
    """
    mapping: dict[str, str] = {}
    for part in (spec or "").split(","):
        if not part.strip():
            continue
        old, equals, new = (piece.strip() for piece in part.partition("="))
        if not (old and equals and new):
            raise ConfigError(
                f"--label_map takes old=new pairs such as '1=positive,0=negative'; got {part!r}"
            )
        other = mapping.setdefault(normalize_label(old), new)
        if other != new:
            raise ConfigError(f"--label_map renames {old!r} twice: to {other!r} and to {new!r}")
    return mapping


@dataclass(frozen=True)
class LabelSpace:
    """The ordered label names that data sets, languages and the model's head share.

    Args:
        names: The names as they are saved and shown; the position is the id.

    Raises:
        LabelSpaceError: There are no names, or two that differ only in case or width.

    Example:
        >>> space = LabelSpace(("negative", "positive"))
        >>> space.id_of("Positive")
        1
    """

    names: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.names:
            raise LabelSpaceError("a label space needs at least one label; got none")
        ids: dict[str, int] = {}
        for position, name in enumerate(self.names):
            other = ids.setdefault(normalize_label(name), position)
            if other != position:
                raise LabelSpaceError(
                    f"the labels {self.names[other]!r} and {name!r} differ only in case, width or "
                    "separators; rename one with --label_map"
                )
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> LabelSpace:
        """The label space of a column: the first spelling of each label, in sorted order."""
        spelling: dict[str, str] = {}
        for label in labels:
            spelling.setdefault(normalize_label(label), label)
        return cls(tuple(spelling[key] for key in sorted(spelling)))

    @classmethod
    def from_id2label(cls, id2label: Mapping[int, str]) -> LabelSpace:
        """The label space of a model's ``config.id2label``."""
        return cls(tuple(str(id2label[position]) for position in sorted(id2label)))

    @property
    def id2label(self) -> dict[int, str]:
        """Ids to names, as ``config.id2label`` wants it."""
        return dict(enumerate(self.names))

    @property
    def label2id(self) -> dict[str, int]:
        """Names to ids, as ``config.label2id`` wants it."""
        return {name: position for position, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalize_label(name) in self._ids

    def id_of(self, name: str) -> int:
        """The id of a label name, whatever its case, width or separators.

        Raises:
            LabelSpaceError: The name is unknown; the message holds the nearest known one.
        """
        position = self._ids.get(normalize_label(name))
        if position is None:
            near = difflib.get_close_matches(normalize_label(name), self._ids, n=1)
            hint = f" (did you mean {self.names[self._ids[near[0]]]!r}?)" if near else ""
            raise LabelSpaceError(
                f"unknown label {name!r}{hint}; expected one of {', '.join(self.names)}; "
                "rename labels with --label_map old=new"
            )
        return position

    def is_permutation_of(self, other: LabelSpace) -> bool:
        """Whether both spaces hold the same names, in any order."""
        return self._ids.keys() == other._ids.keys()

    def check_covers(self, labels: Iterable[str], *, where: str) -> None:
        """Check that every label of a data set is in this space.

        Raises:
            LabelSpaceError: Names every label of ``where`` that is not, and what to do.
        """
        unknown = sorted({label for label in labels if label not in self})
        if unknown:
            raise LabelSpaceError(
                f"{where} has labels that the source does not: {', '.join(unknown)}; the source "
                f"has {', '.join(self.names)}; if they mean the same, rename them with --label_map "
                f'"{unknown[0]}=<one of them>"'
            )
