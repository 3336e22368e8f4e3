"""Files that are not UTF-8: read correctly however short, or refused, but never as gibberish."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from xlingual.data.readers.encodings import check_encoding
from xlingual.data.readers.text_files import inspect_text_file
from xlingual.errors import ConfigError, DataError

SIMPLIFIED = [
    "房间太吵，睡不好", "早餐很丰富", "服务员态度很差，不会再来了。", "位置方便", "性价比高，推荐",
    "隔音不好", "屏幕很清晰", "物流太慢", "质量一般", "还不错", "非常满意，下次还来", "味道一般般",
    "前台热情，房间干净",
    "电池不耐用，半天就没电", "包装破损，客服也不理人", "风景优美，孩子很喜欢",
    "没办法，只能退货", "这本书翻译得很好", "衣服尺码偏小", "空调坏了，一晚上没睡",
    "很喜欢", "没想到",
]  # fmt: skip
TRADITIONAL = [
    "房間太吵，睡不好", "早餐很豐富", "服務員態度很差，不會再來了。", "位置方便", "CP值高，推薦",
    "隔音不好", "螢幕很清晰", "物流太慢", "品質一般", "還不錯", "非常滿意，下次還來", "味道普通",
    "櫃檯熱情，房間乾淨",
    "電池不耐用，半天就沒電", "包裝破損，客服也不理人", "風景優美，孩子很喜歡",
    "沒辦法，只能退貨", "這本書翻譯得很好", "衣服尺碼偏小", "冷氣壞了，一晚上沒睡",
    "很喜歡", "沒想到",
]  # fmt: skip
WESTERN = [
    "A café with a déjà-vu menu, très chère.", "It’s “great”, really.", "Price £20 – ok.", "naïve",
    "Größe passt, schöne Farbe", "El niño llegó mañana", "The crème brûlée was nice",
]  # fmt: skip
CHINESE = [
    *((text, "gbk", "gb18030") for text in SIMPLIFIED),
    *((text, "gb18030", "gb18030") for text in SIMPLIFIED),
    *((text, "big5", "big5hkscs") for text in TRADITIONAL),
    *((text, "cp950", "big5hkscs") for text in TRADITIONAL),
]
UNMARKED = [(text, name, name) for name in ("utf-16-le", "utf-16-be") for text in SIMPLIFIED[:4]]


def read(path: Path, content: bytes, encoding: str | None = None) -> tuple[str, str]:
    path.write_bytes(content)
    file = inspect_text_file(str(path), encoding=encoding)
    with file.open() as text:
        return text.read(), file.encoding


@pytest.mark.parametrize(
    ("text", "written_as", "read_as"),
    [*CHINESE, *((text, "cp1252", "cp1252") for text in WESTERN), *UNMARKED],
)
def test_one_row(tmp_path: Path, text: str, written_as: str, read_as: str) -> None:
    content = f"text,label\n{text},1\n"
    assert read(tmp_path / "x.csv", content.encode(written_as)) == (content, read_as)


@pytest.mark.parametrize(
    "text",
    ["30 m² and a ½ bath", "¥99", "m²", "Øl", "Да, очень хорошо", "Καλό", "ça va", "没办法", "好"],
)
def test_utf8_stays_utf8(tmp_path: Path, text: str) -> None:
    content = f"text,label\n{text},1\n"
    assert read(tmp_path / "x.csv", content.encode()) == (content, "utf-8")


@pytest.mark.parametrize(
    ("text", "written_as"),
    [
        ("好", "gbk"),
        ("寶", "big5"),
        ("膽", "big5"),
        ("방이 너무 시끄러워서 잠을 못 잤어요", "euc_kr"),
        ("部屋はとても静かで、朝食もおいしかったです", "shift_jis"),
        ("Отличный отель, но завтрак так себе", "cp1251"),
        ("Το δωμάτιο ήταν πολύ ήσυχο", "cp1253"),
    ],
)
def test_what_cannot_be_told_is_refused_and_the_flag_helps(
    tmp_path: Path, text: str, written_as: str
) -> None:
    content = f"text,label\n{text},1\n"
    with pytest.raises(DataError, match=r"x\.csv: its encoding is unclear .*--encoding big5"):
        read(tmp_path / "x.csv", content.encode(written_as))
    assert read(tmp_path / "x.csv", content.encode(written_as), written_as)[0] == content


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--encoding"):
        read(tmp_path / "x.csv", bytes((37 * number) % 128 + 128 for number in range(400)))


def test_a_broken_byte_does_not_hide_the_encoding(tmp_path: Path) -> None:
    content = "".join(f"{text}\n" for text in SIMPLIFIED).encode("gbk") + b"\xff\n"
    assert read(tmp_path / "x.txt", content)[1] == "gb18030"


def test_the_flag_leaves_utf8_files_alone(tmp_path: Path) -> None:
    for content in ("text\nIt’s a café.\n", "text\n早餐很丰富\n"):
        for written_as in ("utf-8", "utf-16"):
            assert read(tmp_path / "x.csv", content.encode(written_as), "big5")[0] == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.sampled_from(SIMPLIFIED), min_size=1, max_size=3),
    header=st.sampled_from(["text,label", "评论,标签", "内容,评分"]),
)
def test_simplified_rows_round_trip(tmp_path: Path, rows: list[str], header: str) -> None:
    content = "\n".join([header, *(f"{row},1" for row in rows)]) + "\n"
    assert read(tmp_path / "x.csv", content.encode("gbk")) == (content, "gb18030")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    rows=st.lists(st.sampled_from(TRADITIONAL), min_size=1, max_size=3),
    header=st.sampled_from(["text,label", "評論,標籤", "內容,評分"]),
)
def test_traditional_rows_round_trip(tmp_path: Path, rows: list[str], header: str) -> None:
    content = "\n".join([header, *(f"{row},1" for row in rows)]) + "\n"
    assert read(tmp_path / "x.csv", content.encode("big5")) == (content, "big5hkscs")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    text=st.text(st.sampled_from("".join(SIMPLIFIED)), min_size=6, max_size=12),
    written_as=st.sampled_from(["gbk", "gb18030"]),
)
def test_any_characters_are_read_right_or_refused(
    tmp_path: Path, text: str, written_as: str
) -> None:
    with suppress(DataError):
        assert read(tmp_path / "x.txt", text.encode(written_as))[0] == text


def test_names_of_encodings() -> None:
    assert check_encoding("Big5") == "big5hkscs"
    assert check_encoding("GB-2312") == "gb18030"
    assert check_encoding("shift_jis") == "shift_jis"
    for name in ("big-5x", "hex", "zh", ""):
        with pytest.raises(ConfigError, match=r"--encoding .*big5"):
            check_encoding(name)
