"""Bitext: reading and cleaning sentence pairs, with counts of the dropped rows.

A bitext file holds one ``english<TAB>chinese`` pair per line, plain or gzipped. Rows are cleaned by
fixed rules, and every dropped row is counted under the rule that dropped it, so that a shrinking
corpus does not go unnoticed.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xlingual.errors import ConfigError, DataError
from xlingual.languages import HAN, HAN_CHARACTER

__all__ = [
    "Bitext",
    "clean_pairs",
    "drop_reason",
    "read_bitext",
    "read_bitexts",
    "strip_markup",
]

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_KANA_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_WORD = re.compile(r"[A-Za-z0-9\u00c0-\u024f]+(?:['’][A-Za-z]+)?")

# Chinese characters per English word in running text; the length ratio is measured against it.
CHINESE_CHARACTERS_PER_WORD = 1.6

_MARKUP = (
    (re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>"), " "),  # HTML
    (re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)"), r"\1"),  # Markdown links
    (re.compile(r":[A-Za-z][\w.+:-]*:`+!?~?([^`<]*?)\s*(?:<[^`>]*>)?`+"), r"\1"),  # RST roles
    (re.compile(r"`+([^`<]+?)\s*<[^`>]*>`+_*"), r"\1"),  # RST links
    (re.compile(r"`+([^`]*)`+_*"), r"\1"),  # literals
    (re.compile(r"\*{1,3}([^*\s](?:[^*]*[^*\s])?)\*{1,3}"), r"\1"),  # emphasis
    (re.compile(r"\|([^|\s][^|]*)\|"), r"\1"),  # RST substitutions
    (re.compile(r"https?://\S+"), " "),
    (re.compile(r"^\s*\.\.\s+\w+::"), " "),  # RST directives
    (re.compile(r"\s+"), " "),
)
# Characters left over when the text was code or a table rather than marked-up prose.
_CODE = re.compile(r"[{}<>=_\\|`#@$^~]|::|\(\)|->")
_SPACED_HAN = re.compile(
    rf"(?<=[{HAN}，。！？；：、（）《》“”])\s+|\s+(?=[{HAN}，。！？；：、（）《》“”])"
)
_HALF_WIDTH = str.maketrans({",": "，", "!": "！", "?": "？", ";": "；", ":": "："})
_HALF_AFTER_HAN = re.compile(rf"(?<=[{HAN}])\s*[,!?;:]")
_SPACE_BEFORE = re.compile(r"\s+(?=[,.;:!?%)\]])|(?<=[(\[])\s+")
_CLITIC = re.compile(r"\s+(?=(?:'(?:s|t|re|ve|d|ll|m)|n't)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Bitext:
    """Clean sentence pairs from one source.

    Attributes:
        name: Name of the source; sampling weights refer to it.
        english: English sides.
        chinese: Chinese sides, aligned with ``english``.
        dropped: Rows dropped, by reason.
        pair_weights: Relative sampling weight of each pair inside the source; None for uniform.
    """

    name: str
    english: list[str]
    chinese: list[str]
    dropped: Counter[str] = field(default_factory=Counter)
    pair_weights: list[float] | None = None

    def __len__(self) -> int:
        return len(self.english)


def strip_markup(text: str) -> str:
    """Remove HTML, Markdown and reStructuredText markup and keep the text inside it."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text.strip()


def normalize_english(text: str) -> str:
    """Undo word tokenisation: no space before punctuation or clitics."""
    return _CLITIC.sub("", _SPACE_BEFORE.sub("", text)).strip()


def normalize_chinese(text: str) -> str:
    """Undo word spacing and half-width punctuation, which ordinary Chinese text does not have."""
    text = _HALF_AFTER_HAN.sub(lambda match: match[0].strip().translate(_HALF_WIDTH), text)
    return _SPACED_HAN.sub("", text).strip()


def drop_reason(
    english: str,
    chinese: str,
    *,
    min_english_words: int = 2,
    max_length_ratio: float = 3.0,
    max_code_share: float = 0.06,
) -> str | None:
    """Name the rule that a stripped and normalised pair breaks, or None if the pair is kept.

    Args:
        english: English side.
        chinese: Chinese side.
        min_english_words: Shorter sentences have many translations and make false negatives.
        max_length_ratio: Largest ratio either way between the lengths of the two sides, in units
            of one English word or 1.6 Chinese characters.
        max_code_share: Largest share of characters that belong to code rather than to prose.

    Returns:
        ``"empty"``, ``"markup"``, ``"language"``, ``"short"``, ``"length_ratio"`` or None.
    """
    if not english or not chinese:
        return "empty"
    for side in (english, chinese):
        if len(_CODE.findall(side)) > max_code_share * len(side):
            return "markup"
    if not _is_english(english) or not _is_chinese(chinese):
        return "language"
    words = len(_WORD.findall(english))
    if words < min_english_words:
        return "short"
    chinese_words = len(_WORD.findall(chinese))
    units = len(HAN_CHARACTER.findall(chinese)) / CHINESE_CHARACTERS_PER_WORD + chinese_words
    if not 1 / max_length_ratio <= units / words <= max_length_ratio:
        return "length_ratio"
    return None


def clean_pairs(
    pairs: Iterable[tuple[str, str]], *, name: str, max_identical_targets: int = 20
) -> Bitext:
    """Strip, normalise and filter pairs, and count the dropped ones by reason.

    Args:
        pairs: (English, Chinese) rows as found.
        name: Name of the source.
        max_identical_targets: Keep at most this many pairs with the same Chinese side: a sentence
            with many sources teaches little and fills batches with false negatives.

    Raises:
        DataError: No pair survives, or the columns are swapped in most rows.
    """
    num_swapped = 0
    bitext = Bitext(name=name, english=[], chinese=[])
    seen: set[tuple[str, str]] = set()
    targets: Counter[str] = Counter()
    for raw_english, raw_chinese in pairs:
        english = normalize_english(strip_markup(unicodedata.normalize("NFC", raw_english)))
        chinese = normalize_chinese(strip_markup(unicodedata.normalize("NFC", raw_chinese)))
        reason = drop_reason(english, chinese)
        if reason is None and (english, chinese) in seen:
            reason = "duplicate"
        if reason is None and targets[chinese] >= max_identical_targets:
            reason = "identical_target"
        if reason is not None:
            bitext.dropped[reason] += 1
            num_swapped += _is_chinese(raw_english) and _is_english(raw_chinese)
            continue
        seen.add((english, chinese))
        targets[chinese] += 1
        bitext.english.append(english)
        bitext.chinese.append(chinese)
    if num_swapped > len(bitext):
        raise DataError(
            f"the columns of {name!r} seem to be swapped: {num_swapped} rows have Chinese first "
            f"and {len(bitext)} have English first; expected English in the first column and "
            "Chinese in the second"
        )
    if not bitext.english:
        raise DataError(
            f"no usable English-Chinese pair in {name!r}: dropped {dict(bitext.dropped)}; "
            "expected English in the first column and Chinese in the second"
        )
    return bitext


def read_bitext(path: str | Path, *, name: str | None = None) -> Bitext:
    """Read and clean one ``english<TAB>chinese`` file, plain or gzipped.

    Args:
        path: The file.
        name: Name of the source; the file name without its suffixes by default.

    Raises:
        DataError: The file cannot be read, a line has no tab (named by its number), the columns
            are swapped, or no pair survives the cleaning.
    """
    path = Path(path)
    return clean_pairs(_read_rows(path), name=name or path.name.split(".")[0])


def read_bitexts(paths: str) -> Bitext:
    """Read comma-separated bitext files as one, in the given order.

    Raises:
        ConfigError: A path between two commas is missing.
        DataError: As for ``read_bitext``.
    """
    parts = [part.strip() for part in paths.split(",")]
    if not all(parts):
        raise ConfigError(f"--bitext takes one file or several, comma-separated; got {paths!r}")
    bitexts = [read_bitext(part) for part in parts]
    return Bitext(
        name="+".join(bitext.name for bitext in bitexts),
        english=[text for bitext in bitexts for text in bitext.english],
        chinese=[text for bitext in bitexts for text in bitext.chinese],
        dropped=sum((bitext.dropped for bitext in bitexts), Counter()),
    )


def open_text(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, plain or gzipped, without their line ends.

    Raises:
        DataError: The file cannot be read or is not UTF-8.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
            for line in lines:
                yield line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise DataError(f"cannot read {path} as UTF-8 text: {error}") from error


def _read_rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(open_text(path), start=1):
        if not line.strip():
            continue
        english, tab, chinese = line.partition("\t")
        if not tab:
            raise DataError(
                f"{path}, line {number}: expected english<TAB>chinese, got no tab in "
                f"{line[:60]!r}; separate the two sides by one tab"
            )
        yield english, chinese.split("\t")[0]


def _is_english(text: str) -> bool:
    latin = len(_LATIN.findall(text))
    letters = sum(character.isalpha() for character in text)
    return latin > 0 and latin >= 0.8 * letters


def _is_chinese(text: str) -> bool:
    han = len(HAN_CHARACTER.findall(text))
    if _KANA_HANGUL.search(text):
        return False
    # A Latin letter counts as a fifth of a character: "使用 LDFLAGS_NODIST 变量" is Chinese.
    return han > 0 and han >= 0.3 * (han + len(_LATIN.findall(text)) / 5)
