"""Opening text files as people have them: gzipped or not, UTF-8 with or without a byte-order mark,
or in one of the older encodings that Chinese and Western files still come in."""

from __future__ import annotations

import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from xlingual.errors import DataError

__all__ = ["TextFile", "has_undecodable", "inspect_text_file"]

logger = logging.getLogger(__name__)

_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")
_SAMPLE_SIZE = 1 << 20
# Frequent in any Chinese text, and improbable in the gibberish that a wrong decoding gives.
_FREQUENT = frozenset(
    "的一是不了在人有我他这這个個们們中来來大为為和国國上到说說时時就出会會也你对對，。"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TextFile:
    """A text file with the encoding it turned out to have.

    Bytes that do not fit the encoding are kept as lone surrogates, so that a reader can reject the
    one row they are in (see :func:`has_undecodable`) instead of the whole file.
    """

    path: str
    encoding: str

    @contextmanager
    def open(self) -> Iterator[IO[str]]:
        """The text, with line ends as they are.

        Raises:
            DataError: The file cannot be opened, or its compression is damaged.
        """
        with _readable(self.path) as binary:
            yield io.TextIOWrapper(
                binary, encoding=self.encoding, errors="surrogateescape", newline=""
            )


def has_undecodable(text: str) -> bool:
    """Whether a text holds lone surrogates: bytes of another encoding, or half an escaped emoji."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def inspect_text_file(path: str) -> TextFile:
    """Find out the encoding of a file; anything but UTF-8 and UTF-16 is said aloud.

    UTF-8 with a few broken bytes stays UTF-8. Otherwise it is GB18030 or, when that gives less
    plausible Chinese, Big5; and Windows-1252 when the bytes are those of accented Latin letters.

    Raises:
        DataError: The file cannot be opened, is empty, or is not text.
    """
    with _readable(path) as binary:
        head = binary.read(4)
        if not head:
            raise DataError(f"{path} is empty (0 bytes); expected a header and rows")
        if head.startswith(b"PK\x03\x04"):
            raise DataError(f"{path} is a zip or Excel file, not text; save it as CSV in UTF-8")
        for bom, encoding in _BOMS.items():
            if head.startswith(bom):
                return TextFile(path, encoding)
        good, bad, sample = _count_utf8(head, binary)
    if good >= bad:
        return TextFile(path, "utf-8")
    encoding = _guess_encoding(sample)
    logger.warning(
        f"{path} is not UTF-8; read as {encoding}. If the texts look wrong, save it as UTF-8"
    )
    return TextFile(path, encoding)


@contextmanager
def _readable(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed; gzip is recognised by its first bytes, not its name."""
    try:
        with open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if is_gzip:
                with gzip.open(file) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is a damaged gzip file ({error}); download or pack it again"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be decoded ({error}); save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _count_utf8(head: bytes, binary: IO[bytes]) -> tuple[int, int, bytes]:
    """How many places speak for and against UTF-8, and a sample of the lines that speak against."""
    good, bad, sample = 0, 0, bytearray()
    rest = binary.readline()
    for line in _chain(head + rest, binary):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            decoded = line.decode("utf-8", errors="replace")
            bad += decoded.count("\ufffd")
            good += sum(character > "\x7f" and character != "\ufffd" for character in decoded)
            if len(sample) < _SAMPLE_SIZE:
                sample += line
    return good, bad, bytes(sample)


def _chain(first: bytes, rest: IO[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _guess_encoding(sample: bytes) -> str:
    runs = _HIGH_BYTES.findall(sample)
    # An accented letter among ASCII ones is a single high byte; a Chinese word is several.
    if sum(len(run) == 1 for run in runs) > len(runs) / 2:
        return "cp1252"

    def plausibility(encoding: str) -> float:
        decoded = sample.decode(encoding, errors="replace")
        frequent = sum(character in _FREQUENT for character in decoded)
        return (frequent - decoded.count("\ufffd")) / len(decoded)

    return max(("gb18030", "big5hkscs"), key=plausibility)
