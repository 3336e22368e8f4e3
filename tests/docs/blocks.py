"""The code blocks of READMEs and pages, and the files that they name."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from openpyxl import Workbook

from tests.conftest import NEGATIVE, POSITIVE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# In the order in which a reader comes to them: later pages use the models of earlier ones.
ENGLISH = ["install", "quickstart", "methods", "data", "settings", "use", "design"]
PAGES = [
    ROOT / "README.md",
    *(DOCS / f"{name}.md" for name in ENGLISH),
    ROOT / "README_zh.md",
    *(DOCS / "zh" / f"{name}.md" for name in ENGLISH),
    ROOT / "CONTRIBUTING.md",
]

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>bash|python)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str
    why_not_run: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """The command lines of a shell block, continued lines joined."""
        joined = self.code.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if line.strip()]


def blocks_of(page: Path) -> Iterator[Block]:
    """The shell and Python blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        yield Block(page, line, found["language"], found["code"], found["why"])


def all_blocks() -> list[Block]:
    """The blocks of all pages; one that an earlier page has already is left out."""
    pages = [page for page in PAGES if page.is_file()]
    first: dict[str, Block] = {}
    for block in (block for page in pages for block in blocks_of(page)):
        first.setdefault(block.code, block)
    return list(first.values())


def write_files(folder: Path) -> None:
    """Everything that the pages name as the reader's own."""
    english = [(pair[0], "positive") for pair in POSITIVE] + [(p[0], "negative") for p in NEGATIVE]
    chinese = [(pair[1], "positive") for pair in POSITIVE] + [(p[1], "negative") for p in NEGATIVE]
    english *= 4
    for name in ("reviews.en.csv", "films.en.csv"):
        write_csv(folder / name, ("text", "label"), english)
    write_csv(folder / "verdicts.en.csv", ("body", "verdict"), english)
    write_csv(folder / "headerless.en.csv", english[0], english[1:])
    numbers = {"positive": "1", "negative": "0"}
    rows = [(text, numbers[label]) for text, label in english]
    write_csv(folder / "numbered.en.csv", ("text", "label"), rows)
    for name in ("hotel.zh", "hotel.zh.test", "books.zh", "reviews.zh"):
        write_json(
            folder / f"{name}.jsonl", [{"text": text, "label": label} for text, label in chinese]
        )
    (folder / "hotel.zh.txt").write_text("".join(f"{text}真的。\n" for text, _ in chinese * 2))
    translated = [pair[1] for pair in POSITIVE + NEGATIVE] * 4
    (folder / "reviews.zh.txt").write_text("".join(f"{text}\n" for text in translated))
    news = [("The team won the final.", "sport"), ("The council passed the budget.", "politics")]
    write_csv(folder / "news.en.csv", ("text", "label"), news * 12)
    news = [("球队赢得了决赛。", "sport"), ("議會通過了預算。", "politics")]
    write_csv(folder / "news.zh.csv", ("text", "label"), news * 3)
    pairs = (POSITIVE + NEGATIVE) * 20
    (folder / "pairs.en-zh.tsv").write_text("".join(f"{en}\t{zh}\n" for en, zh in pairs))
    entries = ["房間 房间 [fang2 jian1] /room/", "床 床 [chuang2] /bed/", "髒 脏 [zang1] /dirty/"]
    (folder / "cedict.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    write_pairs_and_aspects(folder)
    write_other_formats(folder, english, chinese)


def write_pairs_and_aspects(folder: Path) -> None:
    """Rows of the tasks ``pair`` and ``multi_label``."""
    keys = ("premise", "hypothesis", "label")
    english = [
        ("The bed is hard.", "It is soft.", "no"),
        ("The room is clean.", "It is tidy.", "yes"),
    ]
    chinese = [("床很硬。", "床很软。", "no"), ("房间很干净。", "房间整洁。", "yes")]
    for name, rows in (("en", english * 12), ("zh", chinese * 3)):
        path = folder / f"inference.{name}.jsonl"
        write_json(path, [dict(zip(keys, row, strict=True)) for row in rows])
    english = [("Kind staff.", ["service"]), ("Fair price, clean.", ["price", "clean"])]
    chinese = [("服务好。", ["service"]), ("價格公道，干净。", ["price", "clean"])]
    names = ("service", "clean", "price")
    for name, labelled in (("en", english * 12), ("zh", chinese * 3)):
        path = folder / f"aspects.{name}.jsonl"
        write_json(path, [{"text": text, "label": labels} for text, labels in labelled])
        flags = [(text, [int(each in labels) for each in names]) for text, labels in labelled]
        path = folder / f"lists.{name}.jsonl"
        write_json(path, [{"text": text, "label": values} for text, values in flags])
        path = folder / f"columns.{name}.csv"
        write_csv(path, ("text", *names), [(text, *values) for text, values in flags])


Rows = list[tuple[str, str]]


def write_other_formats(folder: Path, english: Rows, chinese: Rows) -> None:
    """A workbook, parts of a JSON file, a file in Big5, and ratings."""
    book = Workbook()
    book.create_sheet("Sheet2")
    for row in [("评论", "标签"), *chinese]:
        book["Sheet2"].append(row)
    book.save(folder / "hotel.xlsx")
    book.remove(book["Sheet"])
    book.save(folder / "reviews.zh.xlsx")
    parts = {"train": english, "test": chinese}
    rows = {
        part: [{"text": text, "label": label} for text, label in rows]
        for part, rows in parts.items()
    }
    (folder / "corpus.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    texts = ["房間很乾淨，服務態度也好。", "早餐不好吃，床又太硬。"]
    (folder / "hotel.big5.txt").write_text("".join(f"{text}\n" for text in texts * 12), "big5")
    stars = {"positive": "5", "negative": "1"}
    rated = [(text, stars[label]) for text, label in english]
    write_csv(folder / "rated.en.csv", ("review", "stars"), [*rated, *[("It is fine.", "3")] * 4])
    rated = [(text, stars[label]) for text, label in chinese]
    write_csv(folder / "rated.zh.csv", ("评论", "评分"), [*rated, ("一般吧。", "3")])


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A comma-separated file with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def write_json(path: Path, rows: Iterable[object]) -> None:
    """A JSON Lines file."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
