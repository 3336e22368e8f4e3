"""Turn the values of a label column into label names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xlingual.data.readers.cleaning import UnusableRowError, clean_text
from xlingual.data.readers.label_bins import LabelBin, bin_of
from xlingual.data.readers.multi_hot import labels_in_list
from xlingual.labels import LabelSpace, normalize_label, score_of

__all__ = ["LabelReader"]

# In data frames, a missing label turns integers into floats, also in their csv: "1.0" is label 1.
_WHOLE_FLOAT = re.compile(r"([+-]?\d+)\.0+")
_SPAN_TAG = re.compile(r"([BIESLU]-)(.+)")


@dataclass(frozen=True)
class LabelReader:
    """Reads label values as names.

    Strings are kept except for outer white space; ``1``, ``1.0`` and ``"1.0"`` are ``"1"``;
    booleans are ``"true"`` and ``"false"``; integers of a column with stored names become these.

    Args:
        names: Names behind integer labels (``ClassLabel``), if the format stores them.
        label_map: Renames labels: old name -> new; old names match in any case or width. For tags
            ``{"PERSON": "PER"}`` renames ``B-PERSON`` and ``I-PERSON`` too.
        label_space: If given, labels outside it make a row unusable, and others get its spelling.
        bins: Classes of scores; a numeric label becomes its class before ``label_map`` applies.
        list_names: Names of the labels in lists of 0 and 1, in order.
    """

    names: Sequence[str] = ()
    label_map: Mapping[str, str] = field(default_factory=dict)
    label_space: LabelSpace | None = None
    bins: Sequence[LabelBin] = ()
    list_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        renames = {normalize_label(old): new for old, new in self.label_map.items()}
        object.__setattr__(self, "label_map", renames)

    def read_label(self, value: object) -> str | None:
        """The name of one label; ``None`` if the row has none.

        Raises:
            UnusableRowError: The value is not a label, or the label is not in the label space.
        """
        name = self._raw_name(value)
        return self._known(self._rename(self._classify(name))) if name else None

    def read_labels(self, value: object) -> list[str] | None:
        """The names of all labels of a row: a list, or a string split on ``|``.

        An empty list is a row to which no label applies; ``None`` or an empty string is a row
        that was not labelled.

        Raises:
            UnusableRowError: As for :meth:`read_label`, or a label in the list is empty.
        """
        if self.list_names and (named := labels_in_list(value, self.list_names)) is not None:
            value = named
        if isinstance(value, str):
            value = [part for part in value.split("|") if part.strip()] or None
        if value is None or value != value:
            return None
        if not isinstance(value, list):
            value = [value]
        labels = [self.read_label(label) for label in value]
        if None in labels:
            raise UnusableRowError("one of the labels is empty")
        return list(dict.fromkeys(label for label in labels if label is not None))

    def read_tags(self, value: object) -> list[str] | None:
        """The tags of a row's tokens: a list, or a string with spaces between the tags.

        Raises:
            UnusableRowError: The value is not a list of tags, or a tag is empty or unknown.
        """
        if isinstance(value, str):
            value = value.split()
        if value is None or value != value or value == []:
            return None
        if not isinstance(value, list):
            raise UnusableRowError(f"the tags are of type {type(value).__name__}, not a list")
        tags = [self._known(self._rename_tag(name)) for name in map(self._raw_name, value) if name]
        if len(tags) != len(value):
            raise UnusableRowError("one of the tags is empty")
        return tags

    def _raw_name(self, value: object) -> str | None:
        if value is None or value != value:  # NaN
            return None
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int):
            return self._name_of_id(value) if self.names else str(value)
        if isinstance(value, float):
            return str(value)
        if not isinstance(value, str):
            raise UnusableRowError(
                f"the label is of type {type(value).__name__}, not a name or number"
            )
        name = clean_text(value)
        whole = _WHOLE_FLOAT.fullmatch(name)
        return whole[1] if whole else name or None

    def _name_of_id(self, label_id: int) -> str | None:
        if label_id == -1:  # how datasets marks rows without a label
            return None
        if not 0 <= label_id < len(self.names):
            raise UnusableRowError(f"the label id {label_id} is outside 0..{len(self.names) - 1}")
        return self.names[label_id]

    def _classify(self, name: str) -> str:
        """The class of a score; other labels are unchanged."""
        score = score_of(name) if self.bins else None
        if score is None:
            return name
        label = bin_of(score, self.bins)
        if label is None:
            raise UnusableRowError("a score between the label bins")
        return label

    def _rename(self, name: str) -> str:
        return self.label_map.get(normalize_label(name), name) if self.label_map else name

    def _rename_tag(self, tag: str) -> str:
        span = _SPAN_TAG.fullmatch(tag)
        if span and normalize_label(tag) not in self.label_map:
            return span[1] + self._rename(span[2])
        return self._rename(tag)

    def _known(self, name: str) -> str:
        if self.label_space is None:
            return name
        if name not in self.label_space:
            raise UnusableRowError(f"unknown label {name!r}")
        return self.label_space.names[self.label_space.id_of(name)]
