"""Which column of a file holds what: as told, or guessed from the usual names and said aloud."""

from __future__ import annotations

import difflib
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from xlingual.config.options import DataArguments
from xlingual.errors import ColumnError, ConfigError
from xlingual.tasks import Task

__all__ = ["Columns", "resolve_columns"]

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
    "rating stars y 标签 標籤 类别 類別 分类 分類 情感 情感倾向 情感傾向",
)
_TAGS = _words(
    "tags ner_tags upos pos_tags ner pos labels label",
    "标注 標註 标签 標籤 词性 詞性 实体 實體",
)
_TOKENS = _words("tokens words token word characters 词 詞 字 分词 分詞 单词 單詞")
_DOMAIN = _words("domain domain_name 领域 領域")
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")


@dataclass(frozen=True)
class Columns:
    """Column names as the user gave them; ``None`` means: guess.

    One name serves all files of a run. Where files differ, a name may list alternatives,
    ``"review,评论"``: the first that a file has is taken.

    Raises:
        ConfigError: The label column was also given another role.
    """

    text_column: str | None = None
    text_pair_column: str | None = None
    label_column: str | None = None
    tokens_column: str | None = None
    tags_column: str | None = None
    domain_column: str | None = None
    weight_column: str | None = None

    def __post_init__(self) -> None:
        roles: dict[str, str] = {}
        for role, column in asdict(self).items():
            other = roles.setdefault(column, role) if column else role
            if other != role:
                raise ConfigError(f"--{other} and --{role} both name the column {column!r}")

    @classmethod
    def of(cls, data_args: DataArguments) -> Columns:
        """The names that the data arguments give."""
        return cls(**{field.name: getattr(data_args, field.name) for field in fields(cls)})


def resolve_columns(
    available: Sequence[str], *, task: Task, columns: Columns, labels: str, where: str
) -> dict[str, str]:
    """Find the columns a task needs.

    Args:
        available: The columns the file has.
        task: What is to be learnt; it says which inputs and labels there are.
        columns: Names given by the user; each must exist.
        labels: ``"required"``, ``"optional"`` or ``"drop"``; with ``"drop"`` no label column is
            looked for, and none can be taken for something else.
        where: The file, for messages.

    Returns:
        Canonical column -> column of the file, for those that were found.

    Raises:
        ColumnError: A column that was named, or that the task needs, is not there.
    """
    # A column that was given a role is never guessed for another: this keeps the labels out of the
    # texts, also where they are dropped.
    given = [column for name in asdict(columns).values() for column in _named(name, available)]
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
        label = search.find(role, explicit, names, is_needed=labels == "required")
        if label:
            found[task.label_column] = label[role]
        # Never guessed: a column called "weight" may well be that of a parcel.
        found |= search.find("weight", columns.weight_column, ()) if columns.weight_column else {}
    domain = search.find("domain", columns.domain_column, _DOMAIN)
    return found | {"domain_name": domain["domain"]} if domain else found


def _find_pair(search: _Search, columns: Columns) -> dict[str, str]:
    """Both texts of a pair; a guess takes names that belong together, as premise and hypothesis."""
    complete = [pair for pair in _PAIRS if search.match(pair[1:])]
    firsts = [first for first, _ in complete or _PAIRS]
    found = search.find("text", columns.text_column, firsts, is_needed=True)
    partners = [second for first, second in complete if first == _fold(found["text"])]
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
        """``{role: column}``, or nothing where the column is neither there nor needed."""
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
                f"{self._listing()}; name the right one with --{role}_column{self._hint(role)}"
            )
        return {}

    def match(self, usual: Iterable[str]) -> list[str]:
        """The columns of the file that have usual names, in the order of the usual names."""
        folded: dict[str, str] = {}
        for name in self.available:
            if name not in self.given and (_fold(name) not in folded or name == _fold(name)):
                folded[_fold(name)] = name
        return [folded[name] for name in dict.fromkeys(usual) if name in folded]

    def _announce(self, role: str, matches: Sequence[str]) -> None:
        """Say a guess aloud; where others would do as well, it may be wrong: warn."""
        column, *others = matches
        if column == role or (column == "labels" and role == "label"):
            return
        if others:
            logger.warning(
                f"{self.where}: took the column {column!r} as the {role}; "
                f"{', '.join(map(repr, others))} would also do: say which with --{role}_column"
            )
        else:
            logger.info(f"{self.where}: took the column {column!r} as the {role}")

    def _refuse_misspelt(self, role: str, explicit: str, *, is_needed: bool) -> None:
        folded = {_fold(name): name for name in self.available}
        near = difflib.get_close_matches(_fold(explicit), folded, n=1)
        if not is_needed and not near:
            # The same flag serves every file of a run, and this one can do without.
            logger.warning(f"{self.where}: has no column {explicit!r} (--{role}_column)")
            return
        hint = f"; did you mean {folded[near[0]]!r}?" if near else ""
        raise ColumnError(
            f"{self.where}: there is no column {explicit!r} (--{role}_column); "
            f"its columns are: {self._listing()}{hint}{self._header_hint()}"
        )

    def _listing(self) -> str:
        shown = [name if len(name) <= 40 else name[:40] + "..." for name in self.available[:30]]
        more = f" and {len(self.available) - 30} more" if len(self.available) > 30 else ""
        return (", ".join(map(repr, shown)) or "none") + more

    def _header_hint(self) -> str:
        if any(len(name) > 40 or name.endswith(_SENTENCE_ENDS) for name in self.available):
            return " (the first line is read as the header: does the file have one?)"
        return ""

    def _hint(self, role: str) -> str:
        if self._header_hint():
            return self._header_hint()
        if role == "text" and self.match(first for first, _ in _PAIRS):
            return ", or use --task pair for two texts a row"
        if role in ("label", "tags"):
            return "; a set without labels can only be given where none are read: target_unlabeled"
        return ""


def _named(explicit: str | None, available: Sequence[str]) -> list[str]:
    """The columns that an explicit name means: itself, or the alternatives of a comma list."""
    if not explicit:
        return []
    if explicit in available:
        return [explicit]
    return [name.strip() for name in explicit.split(",") if name.strip() in available]


def _fold(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold().strip()
    return folded.replace(" ", "_").replace("-", "_")
