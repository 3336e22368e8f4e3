"""Label names and ids, and the alignment of labels between data sets.

Every data set numbers its labels in its own way: ``1`` may be *positive* in one file and *neutral*
in another. Labels are therefore compared by name, never by id.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xlingual.errors import ConfigError, LabelSpaceError

__all__ = ["LabelSpace", "normalize_label", "parse_label_map", "score_of"]


_SEPARATOR = re.compile(r"_|(?<=\w)-(?=\w)")
_SCORE = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(?:颗星|顆星|星级|星級|星|分|级|級|stars?|points?|pts?|%)?"
)
_MOST_SHOWN = 10


def normalize_label(name: str) -> str:
    """Normalise a label name for comparison: NFKC, case-folded, separators unified.

    A hyphen counts as a separator only between words: ``-1`` is not ``1``.

    Raises:
        LabelSpaceError: The label is not a string; ids of two data sets cannot be compared.

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
    """Parse label renamings such as ``"1=positive,0=negative"``.

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


def score_of(name: str) -> float | None:
    """The numeric value of a label, with or without a unit; ``None`` if it is not a number.

    Example:
        >>> score_of("5 stars"), score_of("4.5"), score_of("４星"), score_of("good")
        (5.0, 4.5, 4.0, None)
    """
    match = _SCORE.fullmatch(unicodedata.normalize("NFKC", name).casefold().strip())
    return float(match[1]) if match else None


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
        """The label space of a column: the first spelling of each label, in sorted order.

        Raises:
            LabelSpaceError: The labels are decimal scores, too many to be classes.
        """
        spelling: dict[str, str] = {}
        for label in labels:
            spelling.setdefault(normalize_label(label), label)
        scores = [score_of(name) for name in spelling]
        has_decimals = None not in scores and any(score % 1 for score in scores if score)
        if has_decimals and len(scores) > _MOST_SHOWN:
            names = list(spelling.values())
            raise LabelSpaceError(f"the labels are {_listing(names)}; {_suggest_bins(names, ())}")
        return cls(tuple(spelling[key] for key in sorted(spelling)))

    @classmethod
    def from_id2label(cls, id2label: Mapping[int, str]) -> LabelSpace:
        """The label space of a model's ``config.id2label``."""
        return cls(tuple(str(id2label[position]) for position in sorted(id2label)))

    @property
    def id2label(self) -> dict[int, str]:
        """Ids to names, in the form of ``config.id2label``."""
        return dict(enumerate(self.names))

    @property
    def label2id(self) -> dict[str, int]:
        """Names to ids, in the form of ``config.label2id``."""
        return {name: position for position, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and normalize_label(name) in self._ids

    def id_of(self, name: str) -> int:
        """The id of a label name, whatever its case, width or separators.

        Raises:
            LabelSpaceError: The name is unknown; the message suggests the nearest known one.
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
            LabelSpaceError: Some labels are not; the message lists them and suggests a fix.
        """
        unknown = sorted({label for label in labels if label not in self})
        if unknown:
            raise LabelSpaceError(
                f"{where} has labels that the source does not: {_listing(unknown)}; the source "
                f"has {_listing(self.names)}; {_advice(unknown, self.names)}"
            )


# The names on a line mean the same. They are used to suggest a renaming, never to apply one.
_SAME_MEANING = (
    ("negative", "neg", "负面", "負面", "负向", "負向", "消极", "消極", "差评", "差評"),
    ("neutral", "neu", "中性", "中立", "中评", "中評"),
    ("positive", "pos", "正面", "正向", "积极", "積極", "好评", "好評"),
    ("entailment", "entail", "蕴含", "蘊含", "蕴涵"),
    ("contradiction", "contradict", "矛盾"),
)
_MEANINGS = {name: line[0] for line in _SAME_MEANING for name in line}
_UNIT = re.compile(r"^(?:label|class|类别|類別|标签|標籤) *(?=\d)|(?<=\w)(?:类|類|类别|類別)$")
_NEGATIONS = frozenset(
    ("not", "non", "no", "un", "in", "anti", "不", "非", "无", "無", "没", "沒", "未")
)
_UNWRITABLE = re.compile(r'[,="$`\\]')


def _listing(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _advice(unknown: Sequence[str], known: Sequence[str]) -> str:
    """Suggest a fix for labels that the source lacks, as a flag to paste where possible."""
    renames = _suggest_renames(unknown, known)
    if renames:
        pairs = ",".join(f"{old}={new}" for old, new in renames.items())
        return f'if they mean the same, rename them with --label_map "{pairs}"'
    for scores, classes in ((unknown, known), (known, unknown)):
        if _are_scores(scores) and not any(score_of(name) is not None for name in classes):
            return _suggest_bins(scores, classes)
    return f'if they mean the same, rename them with --label_map "{unknown[0]}=<one of them>"'


def _are_scores(names: Sequence[str]) -> bool:
    """Whether labels are numbers, and not just the ids 0 and 1."""
    scores = [score_of(name) for name in names]
    return None not in scores and (len(scores) > 2 or any(score not in (0, 1) for score in scores))


def _suggest_bins(scores: Iterable[str], classes: Sequence[str]) -> str:
    """A flag that turns scores into classes: the lowest and highest quarter of their range."""
    values = sorted(score for name in scores if (score := score_of(name)) is not None)
    quarter = (values[-1] - values[0]) / 4
    low, high = values[0] + quarter, values[-1] - quarter
    if all(value % 1 == 0 for value in values):
        low, high = math.floor(low), math.ceil(high)
    named = {_MEANINGS.get(normalize_label(name)): name for name in classes}
    negative, positive = named.get("negative", "negative"), named.get("positive", "positive")
    middle = f",{low:.3g}<{named['neutral']}<{high:.3g}" if "neutral" in named else ""
    return (
        f"the numbers from {values[0]:g} to {values[-1]:g} look like scores: turn them into "
        f'classes with --label_bins "{negative}<={low:.3g}{middle},{positive}>={high:.3g}" (rows '
        "between the bins are left out)"
    )


def _suggest_renames(unknown: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Renamings of labels that differ from the source's only by a unit, affix or language."""
    for form in (_without_unit, _meaning):
        by_form: dict[str, str] = {}
        for name in known:
            by_form.setdefault(form(name), name)
        renames = {name: by_form[form(name)] for name in unknown if form(name) in by_form}
        if _is_safe(renames):
            return renames
    renames = _suggest_by_affix(unknown, known)
    return renames if _is_safe(renames) else {}


def _is_safe(renames: Mapping[str, str]) -> bool:
    """Whether no two labels become one and all names can be written on a command line."""
    is_writable = not any(_UNWRITABLE.search(name) for pair in renames.items() for name in pair)
    return bool(renames) and is_writable and len(set(renames.values())) == len(renames)


def _without_unit(name: str) -> str:
    stars = name.count("★") + name.count("⭐")
    if stars and not name.strip("★☆⭐\ufe0f "):
        return f"{stars:g}"
    score = score_of(name)
    return f"{score:g}" if score is not None else _UNIT.sub("", normalize_label(name)).strip()


def _meaning(name: str) -> str:
    return _MEANINGS.get(normalize_label(name), normalize_label(name))


def _suggest_by_affix(unknown: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Renamings of two or more labels that add the same prefix or suffix to the source's."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in unknown:
        for other in known:
            longer, shorter = sorted(map(normalize_label, (name, other)), key=len, reverse=True)
            if not shorter or shorter == longer:
                continue
            before, is_inside, after = longer.partition(shorter)
            if is_inside and not (before and after) and before.strip() not in _NEGATIONS:
                found.setdefault((before, after), {})[name] = other
    best = max(found.values(), key=len, default={})
    return best if len(best) > 1 else {}
