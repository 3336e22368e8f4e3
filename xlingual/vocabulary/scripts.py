"""The scripts of tokens, which decide what tokens a language needs.

There is no frequency list: a token of Latin letters counts as English whether it is English or
German. Digits, punctuation, symbols and emoji belong to every language; full-width forms count as
the characters that they are a form of. Chinese is Han, simplified and traditional, CJK punctuation
and Bopomofo.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

from xlingual.errors import ConfigError
from xlingual.languages import detect_script, normalize_language_tag

__all__ = [
    "byte_alphabet",
    "is_writable",
    "is_writable_bytes",
    "script_of",
    "scripts_of",
    "token_bytes",
]

_SCRIPTS = {
    "zh": ("Hani",),
    "ja": ("Hani", "Jpan"),
    "ko": ("Kore",),
    "ru": ("Cyrl",),
    "uk": ("Cyrl",),
    "bg": ("Cyrl",),
    "el": ("Grek",),
    "ar": ("Arab",),
    "fa": ("Arab",),
    "ur": ("Arab",),
    "he": ("Hebr",),
    "hi": ("Deva",),
    "th": ("Thai",),
} | dict.fromkeys(("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "vi", "id"), ("Latn",))
# Punctuation, marks and symbols of no particular script; letters among them are checked separately.
_COMMON = ((0x0, 0x36F), (0x2000, 0x2BFF), (0x2E00, 0x2E7F), (0xFE00, 0xFE0F), (0xFFFC, 0xFFFD),
           (0x1F000, 0x1FAFF), (0xE0020, 0xE007F))  # fmt: skip
_CJK = ((0x2E80, 0x303F), (0x3100, 0x312F), (0x31A0, 0x31EF), (0x3200, 0x33FF), (0xFE10, 0xFE6F),
        (0xFF61, 0xFF65))  # fmt: skip


def scripts_of(languages: Iterable[str]) -> frozenset[str]:
    """The scripts that languages are written in.

    Raises:
        ConfigError: There is no language, or one whose script is not known here.
    """
    tags = [normalize_language_tag(language) for language in languages]
    unknown = [tag for tag in tags if tag not in _SCRIPTS]
    if unknown or not tags:
        raise ConfigError(
            f"languages must be some of {', '.join(sorted(_SCRIPTS))}; got "
            f"{', '.join(unknown) or 'none'}; for others, give a corpus"
        )
    return frozenset(script for tag in tags for script in _SCRIPTS[tag])


def script_of(text: str) -> str:
    """The script of the first letter that has one, ``"Zyyy"`` if there is none."""
    return next((s for s in map(_script, text) if s != "Zyyy"), "Zyyy")


@lru_cache(maxsize=200_000)
def _script(character: str) -> str:
    script = detect_script(character)
    return "Hani" if script in ("Hans", "Hant") else script


@lru_cache(maxsize=200_000)
def is_writable(text: str, scripts: frozenset[str]) -> bool:
    """Whether every character of a text belongs to one of the scripts, or to all of them."""
    return all(_belongs(c, scripts) for c in unicodedata.normalize("NFKC", text))


@lru_cache(maxsize=200_000)
def _belongs(character: str, scripts: frozenset[str]) -> bool:
    script = _script(character)
    if script != "Zyyy":
        return script in scripts
    code = ord(character)
    if "Hani" in scripts and any(low <= code <= high for low, high in _CJK):
        return True
    if unicodedata.category(character)[0] == "L":
        # Only kana that Chinese writers use for decoration get here; they are detected as Zyyy.
        is_kana = unicodedata.name(character, "").startswith(("HIRAGANA", "KATAKANA"))
        return "Jpan" in scripts or "Hani" in scripts if is_kana else character in "ªºµ"
    return any(low <= code <= high for low, high in _COMMON)


def byte_alphabet() -> dict[str, int]:
    """Map the characters of byte-level BPE (Radford et al. 2019) to the bytes they stand for."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(256 + n): byte for n, byte in enumerate(others)}


def token_bytes(token: str, alphabet: dict[str, int]) -> bytes | None:
    """The bytes of a byte-level token, or None for any other token."""
    if any(character not in alphabet for character in token):
        return None
    return bytes(alphabet[character] for character in token)


def is_writable_bytes(data: bytes, is_text_writable: Callable[[str], bool]) -> bool:
    """Whether bytes are writable that may begin or end in the middle of a character.

    Partial characters are judged separately: a lead byte is writable if any character that it can
    begin is writable, and continuation bytes without their lead always are. There are few of them,
    and rare characters need them.
    """
    start = 0
    while start < len(data) and 0x80 <= data[start] <= 0xBF:
        start += 1
    body, tail = data[start:], b""
    for length in range(1, min(4, len(body)) + 1):
        lead = body[-length]
        if lead >= 0xC0:
            needed = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            if length < needed:
                body, tail = body[:-length], body[-length:]
            break
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return is_text_writable(text) and (not tail or _may_begin(tail, is_text_writable))


def _may_begin(tail: bytes, is_text_writable: Callable[[str], bool]) -> bool:
    missing = (2 if tail[0] < 0xE0 else 3 if tail[0] < 0xF0 else 4) - len(tail)
    for middle in range(0x80, 0xC0):
        for last in range(0x80, 0xC0, 8):
            rest = bytes([middle, 0x80, 0x80][: missing - 1]) + bytes([last])
            try:
                if is_text_writable((tail + rest).decode("utf-8")):
                    return True
            except UnicodeDecodeError:
                continue
    return False
