"""Bilingual dictionaries: CC-CEDICT and two-column files.

A dictionary has three uses: its entries are pairs for contrastive learning, its single words are
substituted in code-switching, and the two spellings of each CC-CEDICT headword give a map from
traditional to simplified characters.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlingual.data.bitext import Bitext, open_text
from xlingual.errors import DataError
from xlingual.languages import HAN_CHARACTER

__all__ = [
    "DictionaryEntry",
    "dictionary_pairs",
    "read_dictionary",
    "simplified_characters",
    "word_translations",
]

_CEDICT = re.compile(r"(\S+) (\S+) \[[^\]]*\] /(.*)/\s*$")
_NOT_TRANSLATION = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\b(?:sb's|sb|sth|etc)\b\.?")
# Senses that describe the headword instead of translating it.
_ABOUT = re.compile(
    r"^(?:CL:|variant of|old variant|erhua variant|see |also written|also called|abbr\.|"
    r"used in|surname |Japanese variant|same as|equivalent of|(?:Taiwan )?pr\.|particle )",
    re.IGNORECASE,
)

_PARTICLE = re.compile(r"^(?:to|a|an|the) (?=\S)")
_SINGLE_WORD = re.compile(r"[a-z]+(?:['’-][a-z]+)*")


@dataclass(frozen=True)
class DictionaryEntry:
    """One headword with its English senses, the most common first."""

    simplified: str
    traditional: str
    senses: tuple[str, ...]


def read_dictionary(path: str | Path) -> list[DictionaryEntry]:
    """Read CC-CEDICT (``traditional simplified [pinyin] /sense/sense/``) or two tabbed columns.

    In a two-column file either column may be the Chinese one. Comment lines start with ``#``.

    Args:
        path: The dictionary, plain or gzipped.

    Raises:
        DataError: A line has neither form (named by its number), or no entry translates.
    """
    path = Path(path)
    entries = []
    for number, line in enumerate(open_text(path), start=1):
        if line.strip() and not line.startswith("#"):
            entry = _parse_line(line)
            if entry is None:
                raise DataError(
                    f"{path}, line {number}: expected a CC-CEDICT entry or two columns with one "
                    f"tab, one of them Chinese, got {line[:60]!r}"
                )
            entries.append(entry)
    if not any(entry.senses for entry in entries):
        raise DataError(f"{path} holds no dictionary entry with a translation")
    return entries


def dictionary_pairs(
    entries: Iterable[DictionaryEntry],
    *,
    text: Sequence[str] = (),
    name: str = "dictionary",
    max_senses: int = 6,
    max_words: int = 6,
) -> Bitext:
    """Make one pair of each sense of each entry, weighted towards words that real text uses.

    The weight of a sense is ``(1 + c) ** 0.5 / number of senses`` with ``c`` the count of the
    headword in ``text``: a dictionary is mostly rare words, while text is mostly common ones.

    Args:
        entries: The dictionary.
        text: Chinese text in which headwords are counted; without it every headword weighs 1.
        name: Name of the source.
        max_senses: Senses kept per entry; later ones are rare.
        max_words: Longest sense in words; longer ones are explanations rather than translations.
    """
    counts = _count_headwords(entries := list(entries), text)
    bitext = Bitext(name=name, english=[], chinese=[], pair_weights=[])
    for entry in entries:
        senses = [s for s in entry.senses if len(s.split()) <= max_words][:max_senses]
        bitext.dropped["no_translation"] += not senses
        for sense in senses:
            bitext.english.append(sense)
            bitext.chinese.append(entry.simplified)
            assert bitext.pair_weights is not None
            bitext.pair_weights.append((1 + counts[entry.simplified]) ** 0.5 / len(senses))
    return bitext


def simplified_characters(
    entries: Iterable[DictionaryEntry], *, min_share: float = 0.75
) -> dict[str, str]:
    """Map traditional characters to the simplified ones that the dictionary spells them with.

    Args:
        entries: Entries with both spellings.
        min_share: Characters that are unchanged in more than ``1 - min_share`` of their headwords
            are not mapped, since they are simplified characters as well.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if len(entry.traditional) == len(entry.simplified):
            for traditional, simplified in zip(entry.traditional, entry.simplified, strict=True):
                votes[traditional][simplified] += 1
    mapping = {}
    for traditional, counter in votes.items():
        simplified, count = counter.most_common(1)[0]
        if simplified != traditional and count >= min_share * counter.total():
            mapping[traditional] = simplified
    # A chain a -> b -> c would make the result depend on how often the map is applied.
    return {key: mapping.get(value, value) for key, value in mapping.items()}


def word_translations(
    entries: Iterable[DictionaryEntry],
    *,
    text: Sequence[str] = (),
    max_translations: int = 5,
    max_characters: int = 4,
) -> dict[str, list[str]]:
    """The Chinese translations of single English words, the most common first.

    A Chinese-English dictionary has dozens of headwords for one English word, most of them rare.
    They are ranked by ``(1 + c) ** 0.5 / r`` with ``c`` the count of the headword in ``text``,
    found by longest match so that 电影 does not count as 影, and ``r`` the rank of the sense in its
    entry.

    Args:
        entries: The dictionary.
        text: Chinese text, ideally of the target domain. Without it the headwords themselves are
            the text, since a common one is part of many others; the order of CC-CEDICT does not
            reflect frequency.
        max_translations: Translations kept per word.
        max_characters: Longest headword; longer ones are phrases and names.

    Example:
        >>> word_translations([DictionaryEntry("吃", "吃", ("to eat", "to have one's meal"))])
        {'eat': ['吃']}
    """
    entries = [entry for entry in entries if len(entry.simplified) <= max_characters]
    words = [entry.simplified for entry in entries]
    counts = _count_words(set(words), text) if text else _count_headwords(entries, words)
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for entry in entries:
        for rank, sense in enumerate(entry.senses, start=1):
            word = _PARTICLE.sub("", sense.lower())
            if _SINGLE_WORD.fullmatch(word):
                score = (1 + counts[entry.simplified]) ** 0.5 / rank
                known = scores[word].get(entry.simplified, 0.0)
                scores[word][entry.simplified] = max(known, score)
    return {
        word: sorted(chinese, key=lambda c: -chinese[c])[:max_translations]
        for word, chinese in scores.items()
    }


def _parse_line(line: str) -> DictionaryEntry | None:
    if match := _CEDICT.match(line):
        traditional, simplified, senses = match.groups()
        return DictionaryEntry(simplified, traditional, _clean_senses(senses.split("/")))
    left, _, right = (part.strip() for part in line.partition("\t"))
    if "\t" not in line or not left or not right:
        return None
    chinese, english = (left, right) if HAN_CHARACTER.search(left) else (right, left)
    if not HAN_CHARACTER.search(chinese) or HAN_CHARACTER.search(english):
        return None
    return DictionaryEntry(chinese, chinese, _clean_senses(english.split(";")))


def _clean_senses(senses: Iterable[str]) -> tuple[str, ...]:
    cleaned = []
    for sense in senses:
        for part in sense.split(";"):
            part = " ".join(_NOT_TRANSLATION.sub(" ", part).split())
            if part and not _ABOUT.match(part) and not HAN_CHARACTER.search(part):
                cleaned.append(part)
    return tuple(dict.fromkeys(cleaned))


def _count_headwords(entries: Sequence[DictionaryEntry], text: Sequence[str]) -> Counter[str]:
    headwords = {entry.simplified for entry in entries}
    longest = min(max((len(word) for word in headwords), default=0), 4)
    counts: Counter[str] = Counter()
    for line in text:
        for size in range(1, longest + 1):
            counts.update(line[i : i + size] for i in range(len(line) - size + 1))
    return Counter({word: counts[word] for word in headwords if counts[word]})


def _count_words(words: set[str], text: Sequence[str]) -> Counter[str]:
    """Count by longest match from the left: a word inside a longer one is not counted."""
    longest = max(map(len, words), default=1)
    counts: Counter[str] = Counter()
    for line in text:
        begin = 0
        while begin < len(line):
            sizes = range(min(longest, len(line) - begin), 0, -1)
            size = next((n for n in sizes if line[begin : begin + n] in words), 0)
            counts[line[begin : begin + size]] += size > 0
            begin += size or 1
    return counts
