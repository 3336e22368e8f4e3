from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from xlingual.data.readers.text_files import has_undecodable, inspect_text_file
from xlingual.errors import DataError

SIMPLIFIED = "房间的隔音不好，但是早餐很丰富。\n这是我们第三次来，下次还会住。\n"
TRADITIONAL = "房間的隔音不好，但是早餐很豐富。\n這是我們第三次來，下次還會住。\n"


def read(path: Path) -> tuple[str, str]:
    file = inspect_text_file(str(path))
    with file.open() as text:
        return text.read(), file.encoding


@pytest.mark.parametrize(
    ("text", "written_as", "encoding"),
    [
        (SIMPLIFIED, "utf-8", "utf-8"),
        ("plain ASCII\n", "ascii", "utf-8"),
        (SIMPLIFIED, "utf-8-sig", "utf-8-sig"),
        (SIMPLIFIED, "utf-16", "utf-16"),
        (SIMPLIFIED, "gb18030", "gb18030"),
        (SIMPLIFIED, "gbk", "gb18030"),
        (TRADITIONAL, "big5", "big5hkscs"),
        ("A café with a déjà-vu menu, très chère.\n", "cp1252", "cp1252"),
    ],
)
def test_encodings(
    tmp_path: Path, text: str, written_as: str, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(text.encode(written_as))
    assert read(path) == (text, encoding)
    is_unusual = not encoding.startswith("utf")
    assert ("is not UTF-8" in caplog.text) == is_unusual
    assert all(record.levelno == logging.WARNING for record in caplog.records)


@pytest.mark.parametrize("name", ["x.txt.gz", "named_otherwise.txt"])
def test_gzip_is_recognised_by_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(SIMPLIFIED.encode("gb18030")))
    assert read(path) == (SIMPLIFIED, "gb18030")


def test_utf8_with_a_broken_byte_stays_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(SIMPLIFIED.encode() + "坏".encode()[:2] + b" end\n")
    text, encoding = read(path)
    assert encoding == "utf-8"
    assert [has_undecodable(line) for line in text.splitlines()] == [False, False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"PK\x03\x04rest", "zip or Excel file"),
        (gzip.compress(b"text\n" * 100, mtime=0)[:-12], "damaged gzip"),
        (b"\x1f\x8bnot gzip", "damaged gzip"),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(path)


def test_half_a_character_in_utf16(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("好".encode("utf-16") + b"\x00")
    with pytest.raises(DataError, match="save it as UTF-8"):
        read(path)
