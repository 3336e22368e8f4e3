"""Open text files: gzipped or not, in UTF-8, UTF-16 or legacy Chinese and Western encodings."""

from __future__ import annotations

import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from xlingual.data.readers.encodings import (
    check_encoding,
    guess_encoding,
    utf16_without_mark,
)
from xlingual.errors import DataError

__all__ = ["TextFile", "has_undecodable", "inspect_text_file"]

logger = logging.getLogger(__name__)

_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_OLE = b"\xd0\xcf\x11\xe0"
_HEAD_SIZE = 1 << 12
_SAMPLE_SIZE = 1 << 16
_MOST_LONG_BY_CHANCE = 2  # per invalid sequence, in a text of another encoding
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class TextFile:
    """A text file and its encoding.

    Bytes that do not fit the encoding are kept as lone surrogates, so that a reader can reject the
    one row they are in (see :func:`has_undecodable`) instead of the whole file.
    """

    path: str
    encoding: str

    @contextmanager
    def open(self) -> Iterator[IO[str]]:
        """Open the file as text, with line ends unchanged.

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


def inspect_text_file(path: str, *, encoding: str | None = None) -> TextFile:
    """Find the encoding of a file; any guess other than UTF-8 or UTF-16 is logged.

    UTF-8 with a few broken bytes counts as UTF-8. For other files see :func:`guess_encoding`.

    Args:
        path: The file, gzipped or not.
        encoding: Encoding to use if the file is neither UTF-8 nor UTF-16; ``None`` guesses it.

    Raises:
        DataError: The file cannot be opened, is empty, is not text, or its encoding is unclear.
        ConfigError: There is no such encoding.
    """
    codec = check_encoding(encoding) if encoding else None
    with _readable(path) as binary:
        head = binary.read(_HEAD_SIZE)
        if not head:
            raise DataError(f"{path} is empty (0 bytes); expected a header and rows")
        if head.startswith((b"PK\x03\x04", _OLE)):
            raise DataError(
                f"{path} is a zip or Excel file, not text; if it is a workbook, name it .xlsx, or "
                "save it as CSV in UTF-8"
            )
        for bom, marked in _BOMS.items():
            if head.startswith(bom):
                return TextFile(path, marked)
        if unmarked := utf16_without_mark(head):
            return TextFile(path, unmarked)
        evidence = _weigh_utf8(_lines(head, binary))
    if evidence.is_utf8:
        return TextFile(path, "utf-8")
    if codec:
        return TextFile(path, codec)
    guess = guess_encoding(bytes(evidence.sample), path=path)
    logger.warning(
        f"{path} is not UTF-8; read as {guess}. If the texts look wrong, name the encoding with "
        "--encoding"
    )
    return TextFile(path, guess)


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
            f"{path} is a damaged gzip file ({error}); download or compress it again"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be decoded ({error}); save it as UTF-8") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


@dataclass
class _Utf8Evidence:
    """Evidence for and against UTF-8 in a file.

    Attributes:
        num_long: Characters of three or four bytes, such as Chinese ones, which rarely occur by
            chance.
        num_short: Characters of two bytes, such as accented letters; two bytes of a Chinese
            encoding often look like one by chance.
        num_invalid: Byte sequences that are not UTF-8.
        sample: Lines that are not UTF-8.
    """

    num_long: int = 0
    num_short: int = 0
    num_invalid: int = 0
    sample: bytearray = field(default_factory=bytearray)

    @property
    def is_utf8(self) -> bool:
        if not self.num_invalid:
            return True
        num_by_chance = self.num_invalid * _MOST_LONG_BY_CHANCE
        return self.num_long > num_by_chance or self.num_short > 5 * num_by_chance


def _weigh_utf8(lines: Iterable[bytes]) -> _Utf8Evidence:
    found = _Utf8Evidence()
    for line in lines:
        if line.isascii():
            continue
        text = line.decode("utf-8", errors="replace")
        num_invalid = text.count("\ufffd") - line.count(b"\xef\xbf\xbd")  # may be in the file
        num_long = sum(character > "\u07ff" for character in text) - text.count("\ufffd")
        found.num_invalid += num_invalid
        found.num_long += num_long
        found.num_short += sum("\x7f" < character < "\u0800" for character in text)
        if len(found.sample) < _SAMPLE_SIZE and num_invalid:
            found.sample += line
    return found


def _lines(head: bytes, rest: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file whose head has already been read."""
    *whole, begun = head.splitlines(keepends=True)
    yield from whole
    yield begun if begun.endswith(b"\n") else begun + rest.readline()
    yield from rest
