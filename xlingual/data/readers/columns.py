"""Find the column for each role: the one that the user names, or a logged guess by usual names."""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from xlingual.config.options import DataArguments
from xlingual.data.readers.encodings import check_encoding
from xlingual.data.readers.tables import list_names
from xlingual.errors import ColumnError, ConfigError
from xlingual.tasks import Task

__all__ = [
    "Columns",
    "find_label_columns",
    "fold_name",
    "is_usual_name",
    "resolve_columns",
    "split_names",
]

logger = logging.getLogger(__name__)


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


_TEXT = _words(
    "text sentence review content comment body document utterance query tweet message input",
    "review_text review_body comment_text",
    "文本 评论 評論 内容 內容 句子 正文 评价 評價 评论内容 評論內容 文字",
)
_PAIRS = tuple(
    (pair.split("+")[0], pair.split("+")[1])
    for pair in _words(
        "text+text_pair premise+hypothesis sentence1+sentence2 question1+question2 text1+text2",
        "text_a+text_b sentence_a+sentence_b sent1+sent2 question+sentence query+document",
        "query+passage question+passage 前提+假设 前提+假設 句子1+句子2 文本1+文本2",
    )
)
_LABEL = _words(
    "label labels sentiment category class target polarity gold_label topic intent emotion",
    "y 标签 標籤 类别 類別 分类 分類 情感 情感倾向 情感傾向",
)
# A rating is the label only where the file has no better one.
_RATINGS = _words(
    "rating ratings stars star score review_rating review_score star_rating overall overall_rating",
    "评分 評分 星级 星級 打分 得分 分数 分數 星数 星數 评星 評星 评价星级 評價星級",
)
_TAGS = _words(
    "tags ner_tags upos pos_tags ner pos labels label",
    "标注 標註 标签 標籤 词性 詞性 实体 實體",
)
_TOKENS = _words("tokens words token word characters 词 詞 字 分词 分詞 单词 單詞")
_DOMAIN = _words("domain domain_name 领域 領域")
_BRACKETS = re.compile(r"[(（\[【].*?[)）\]】]$")
_LANGUAGE = re.compile(r"_(en|eng|english|zh|cn|chs|cht|chinese|英文|中文)$")


@dataclass(frozen=True)
class Columns:
    """The user's settings for reading files; ``None`` means that the value is guessed.

    One name serves all files of a run. If the files differ, a name may list alternatives,
    ``"review,评论"``: the first that a file has is used.

    Args:
        text_column: Name of the text column; likewise for the other ``*_column`` names.
        label_columns: Columns of 0 and 1, one for each label, ``"service,clean,price"``.
        label_names: Names of the labels, in order, for a column with lists of 0 and 1.
        columns: Names of the columns of files without a header, ``"text,label"``.
        encoding: Encoding of text files that are not UTF-8.

    Raises:
        ConfigError: A column has two roles, labels are given in two ways, or there is no such
            encoding.
    """

    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    tokens_column: str | None = None
    tags_column: str | None = None
    domain_column: str | None = None
    weight_column: str | None = None
    label_columns: str | None = None
    label_names: str | None = None
    columns: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        roles: dict[str, str] = {}
        for role, column in self.roles.items():
            other = roles.setdefault(column, role)
            if other != role:
                raise ConfigError(f"--{other} and --{role} both name the column {column!r}")
        if self.label_columns and (self.label_column or self.label_names):
            other = "--label_column" if self.label_column else "--label_names"
            raise ConfigError(f"--label_columns and {other} exclude each other; keep one")
        for flag in ("label_columns", "label_names", "columns"):
            names = split_names(getattr(self, flag))
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ConfigError(f"--{flag} names {', '.join(map(repr, twice))} more than once")
        if self.encoding:
            check_encoding(self.encoding)

    @classmethod
    def of(cls, data_args: DataArguments) -> Columns:
        """The settings in the data arguments."""
        return cls(**{field.name: getattr(data_args, field.name) for field in fields(cls)})

    @property
    def roles(self) -> dict[str, str]:
        """The flags that name a column for a role, and the column of each."""
        return {
            field.name: column
            for field in fields(self)
            if field.name.endswith("_column") and (column := getattr(self, field.name))
        }


def split_names(names: str | None) -> tuple[str, ...]:
    """Split a comma-separated list of names, such as that of ``--columns text,label``."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def is_usual_name(name: str) -> bool:
    """Whether this is a usual name for a column."""
    return fold_name(name) in _USUAL or _stem(name) in _USUAL


def resolve_columns(
    available: Sequence[str], *, task: Task, columns: Columns, labels: str, where: str
) -> dict[str, str]:
    """Find the columns a task needs.

    Args:
        available: The columns the file has.
        task: Defines which inputs and labels there are.
        columns: Names given by the user; each must exist.
        labels: ``"required"``, ``"optional"`` or ``"drop"``; with ``"drop"`` no label column is
            searched for, and none is mistaken for another column.
        where: The file, for messages.

    Returns:
        Canonical column -> column of the file, for those that were found.

    Raises:
        ColumnError: A column that was named, or that the task needs, is missing.
    """
    # A column with a given role is never guessed for another: this keeps the labels out of the
    # texts even when they are dropped.
    given = [column for name in columns.roles.values() for column in _named(name, available)]
    given += split_names(columns.label_columns)
    search = _Search(tuple(available), where=where, given=frozenset(given))
    found: dict[str, str] = {}
    if task.name == "pair":
        found |= _find_pair(search, columns)
    elif task.name == "token":
        found |= search.find("tokens", columns.tokens_column, _TOKENS, is_needed=True)
        found |= search.find("text", columns.text_column, _TEXT)  # raw text, where there is any
    else:
        found |= search.find("text", columns.text_column, _TEXT, is_needed=True)
    if labels != "drop":
        role, names = ("tags", _TAGS) if task.name == "token" else ("label", _LABEL)
        explicit = columns.tags_column if role == "tags" else columns.label_column
        if role == "label" and not search.match(names):
            names = (*names, *_RATINGS)
        if not find_label_columns(available, columns, where=where):
            label = search.find(role, explicit, names, is_needed=labels == "required")
            found |= {task.label_column: label[role]} if label else {}
        # Never guessed: a column called "weight" may hold the weight of a parcel.
        found |= search.find("weight", columns.weight_column, ()) if columns.weight_column else {}
    domain = search.find("domain", columns.domain_column, _DOMAIN)
    return found | {"domain_name": domain["domain"]} if domain else found


def find_label_columns(
    available: Sequence[str], columns: Columns, *, where: str
) -> tuple[str, ...]:
    """The columns of ``--label_columns``, or none if the file has none of them.

    Raises:
        ColumnError: The file has only some of them.
    """
    wanted = split_names(columns.label_columns)
    missing = [name for name in wanted if name not in available]
    if len(missing) == len(wanted):
        return ()
    if missing:
        near = difflib.get_close_matches(missing[0], available, n=1)
        raise ColumnError(
            f"{where}: --label_columns names {list_names(missing)}, which the file lacks"
            f"{f' (did you mean {near[0]!r}?)' if near else ''}; its columns are: "
            f"{list_names(available)}"
        )
    return wanted


def _find_pair(search: _Search, columns: Columns) -> dict[str, str]:
    """Both texts of a pair; names are guessed together, such as premise and hypothesis."""
    complete = [pair for pair in _PAIRS if search.match(pair[1:])]
    firsts = [first for first, _ in complete or _PAIRS]
    found = search.find("text", columns.text_column, firsts, is_needed=True)
    partners = [second for first, second in complete if first == fold_name(found["text"])]
    seconds = partners or [second for _, second in _PAIRS]
    return found | search.find("text_pair", columns.text_pair_column, seconds, is_needed=True)


@dataclass(frozen=True)
class _Search:
    """The columns of one file, and the ways to look for one among them."""

    available: tuple[str, ...]
    where: str
    given: frozenset[str]

    def find(
        self, role: str, explicit: str | None, usual: Sequence[str], *, is_needed: bool = False
    ) -> dict[str, str]:
        """``{role: column}``, or an empty dict if an optional column is missing."""
        matches = _named(explicit, self.available) if explicit else self.match(usual)
        if matches:
            if not explicit:
                self._announce(role, matches)
            return {role: matches[0]}
        if explicit:
            self._refuse_misspelt(role, explicit, is_needed=is_needed)
        elif is_needed:
            raise ColumnError(
                f"{self.where}: no column has a usual name for the {role} "
                f"({', '.join(list(dict.fromkeys(usual))[:6])}, ...); its columns are: "
                f"{list_names(self.available)}; name the right one with "
                f"--{role}_column{self._hint(role)}"
            )
        return {}

    def match(self, usual: Iterable[str]) -> list[str]:
        """The columns of the file that have usual names, in the order of the usual names.

        If there is none, suffixes are ignored (``评分(1-5)``, ``text_zh``), unless they distinguish
        two columns.
        """
        usual = dict.fromkeys(usual)
        free = [name for name in self.available if name not in self.given]
        folded: dict[str, str] = {}
        for name in free:
            if fold_name(name) not in folded or name == fold_name(name):
                folded[fold_name(name)] = name
        if found := [folded[name] for name in usual if name in folded]:
            return found
        counts = Counter(map(_stem, free))
        stems = {_stem(name): name for name in free if counts[_stem(name)] == 1}
        return [stems[name] for name in usual if name in stems]

    def _announce(self, role: str, matches: Sequence[str]) -> None:
        """Log a guess; warn if other columns would fit as well."""
        column, *others = matches
        if column == role or (column == "labels" and role == "label"):
            return
        if others:
            logger.warning(
                f"{self.where}: took the column {column!r} as the {role}; "
                f"{', '.join(map(repr, others))} would also fit: choose with --{role}_column"
            )
        else:
            logger.info(f"{self.where}: took the column {column!r} as the {role}")

    def _refuse_misspelt(self, role: str, explicit: str, *, is_needed: bool) -> None:
        folded = {fold_name(name): name for name in self.available}
        near = difflib.get_close_matches(fold_name(explicit), folded, n=1)
        if not is_needed and not near:
            # The same flag serves every file of a run, and this file does not need the column.
            logger.warning(f"{self.where}: has no column {explicit!r} (--{role}_column)")
            return
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        raise ColumnError(
            f"{self.where}: there is no column {explicit!r} (--{role}_column); "
            f"its columns are: {list_names(self.available)}{hint}"
        )

    def _hint(self, role: str) -> str:
        if role == "text" and self.match(first for first, _ in _PAIRS):
            return ", or use --task pair for two texts a row"
        if role in ("label", "tags"):
            return "; a set without labels is only accepted where none are read: target_unlabeled"
        return ""


def _named(explicit: str | None, available: Sequence[str]) -> list[str]:
    """The columns an explicit name refers to: that column, or the alternatives of a comma list."""
    if not explicit:
        return []
    if explicit in available:
        return [explicit]
    return [name.strip() for name in explicit.split(",") if name.strip() in available]


def fold_name(name: str) -> str:
    """Normalise a column name for comparison."""
    folded = unicodedata.normalize("NFKC", name).casefold().strip()
    return folded.replace(" ", "_").replace("-", "_")


def _stem(name: str) -> str:
    """A folded name without a unit in brackets and without a language suffix."""
    return _LANGUAGE.sub("", _BRACKETS.sub("", fold_name(name)).strip("_"))


_USUAL = frozenset(
    fold_name(name)
    for name in (*_TEXT, *_LABEL, *_RATINGS, *_TAGS, *_TOKENS, *_DOMAIN, *sum(_PAIRS, ()))
)
