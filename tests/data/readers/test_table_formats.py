"""The readers of each file format: a bad row costs only itself."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from xlingual.data.readers.conll import open_conll
from xlingual.data.readers.delimited import open_delimited, open_lines
from xlingual.data.readers.json_files import open_json, open_json_lines
from xlingual.data.readers.tables import Row, Table
from xlingual.errors import ColumnError, DataError


@pytest.fixture
def write(tmp_path: Path):
    def write_file(content: str | bytes, name: str = "x") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return str(path)

    return write_file


def rows_of(table: Table) -> list[Row]:
    return list(table.read(list(table.columns)))


def values_of(table: Table) -> list[list[object]]:
    return [list(row.values.values()) for row in rows_of(table) if row.values is not None]


def problems_of(table: Table) -> list[tuple[int, str]]:
    return [(row.number, row.problem) for row in rows_of(table) if row.values is None]


def test_csv_with_mark_crlf_quotes_and_blank_lines(write) -> None:
    content = '\ufefftext,label\r\n"他说：""很好"",真的\r\n第二行",1\r\n\r\nplain,0\r\n'
    table = open_delimited(write(content), delimiter=",")
    assert table.columns == ("text", "label")
    assert [(row.number, row.values) for row in rows_of(table)] == [
        (2, {"text": '他说："很好",真的\r\n第二行', "label": "1"}),
        (5, {"text": "plain", "label": "0"}),
    ]


def test_csv_rows_of_another_width(write) -> None:
    table = open_delimited(write("text,label\na,1\nb\nc,d,0\ne,1\n"), delimiter=",")
    assert values_of(table) == [["a", "1"], ["e", "1"]]
    assert problems_of(table) == [
        (3, "1 field where the header has 2"),
        (4, "3 fields where the header has 2"),
    ]
    assert rows_of(table)[2].raw == "c,d,0"


def test_a_quote_never_closed_costs_one_row(write) -> None:
    lines = ["text,label", "a,1", '"open,0', "b,1", "c,0", 'd "quoted",1', '"e",0', "f,1"]
    for content in ("\n".join(lines), "\n".join(lines[:5])):
        table = open_delimited(write(content), delimiter=",")
        assert [number for number, _ in problems_of(table)] == [3]
        values = [text for text, _ in values_of(table)]
        assert values == (
            ["a", "b", "c", 'd "quoted"', "e", "f"] if "f,1" in content else ["a", "b", "c"]
        )


def test_a_stray_quote_inside_a_field_costs_one_row(write) -> None:
    table = open_delimited(write('text,label\n"he said "hi" to us",1\nok,0\n'), delimiter=",")
    assert values_of(table) == [["ok", "0"]]
    assert problems_of(table)[0][0] == 2


def test_very_long_fields(write) -> None:
    limit = csv.field_size_limit()
    text = "长" * (limit + 1)
    assert values_of(open_delimited(write(f"text,label\n{text},1\n"), delimiter=",")) == [
        [text, "1"]
    ]
    assert csv.field_size_limit() == limit


def test_columns_that_stand_twice(write) -> None:
    with pytest.raises(ColumnError, match="column 'text' more than once"):
        open_delimited(write("text,label,text\na,1,b\n"), delimiter=",")


def test_unnamed_columns_get_a_number(write) -> None:
    table = open_delimited(write(",text,label\n0,a,1\n"), delimiter=",")
    assert table.columns == ("column_1", "text", "label")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_with_another_delimiter(write, delimiter: str, caplog) -> None:
    content = f"text{delimiter}label\n好，很好,真的{delimiter}1\n"
    table = open_delimited(write(content), delimiter=",")
    assert values_of(table) == [["好，很好,真的", "1"]]
    assert f"separated by {delimiter!r}" in caplog.text


@pytest.mark.parametrize("content", ["\n\n", " \r\n"])
def test_blank_files(write, content: str) -> None:
    with pytest.raises(DataError, match="blank lines"):
        open_delimited(write(content), delimiter=",")


def test_tsv_where_quotes_are_text(write) -> None:
    content = 'text\tlabel\n"Great" is a lie\t0\n"no end\t0\nfine\t1\n"both sides"\t1\n'
    texts = [text for text, _ in values_of(open_delimited(write(content), delimiter="\t"))]
    assert texts == ['"Great" is a lie', '"no end', "fine", '"both sides"']


def test_tsv_where_quotes_quote(write) -> None:
    content = 'text\tlabel\n"two\nlines"\t0\n"a ""b"" c"\t1\n'
    texts = [text for text, _ in values_of(open_delimited(write(content), delimiter="\t"))]
    assert texts == ["two\nlines", 'a "b" c']


def test_lines_of_text(write) -> None:
    table = open_lines(write("第一句，有逗号\r\n\r\nsecond line\n"))
    assert [(row.number, row.values) for row in rows_of(table)] == [
        (1, {"text": "第一句，有逗号"}),
        (3, {"text": "second line"}),
    ]


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00\ufeff", exclude_categories=("Cs",)),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_what_csv_and_json_write_is_read(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    with open(tmp_path / "x.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    table = open_delimited(str(tmp_path / "x.csv"), delimiter=",")
    assert values_of(table) == [list(row) for row in rows]
    lines = [json.dumps({"text": a, "label": b}, ensure_ascii=False) + "\n" for a, b in rows]
    (tmp_path / "x.jsonl").write_text("".join(lines), encoding="utf-8")
    assert values_of(open_json_lines(str(tmp_path / "x.jsonl"))) == [list(row) for row in rows]


def test_json_lines_with_malformed_lines(write) -> None:
    content = '\ufeff{"text": "好"}\n{"text": "cut\n\n[1]\n{"text": "ok", "label": 1}\nNaN\n'
    table = open_json_lines(write(content))
    assert table.columns == ("text", "label")
    assert [row.values for row in rows_of(table) if row.values] == [
        {"text": "好"},
        {"text": "ok", "label": 1},
    ]
    problems = problems_of(table)
    assert [number for number, _ in problems] == [2, 4, 6]
    assert "not valid JSON" in problems[0][1]
    assert "a JSON list, not an object" in problems[1][1]


@pytest.mark.parametrize("bad", ['{"a": ' + "9" * 5000 + "}", "[" * 100_000])
def test_json_that_python_refuses(write, bad: str) -> None:
    table = open_json_lines(write('{"text": "好"}\n' + bad + "\n"))
    assert len(values_of(table)) == 1
    assert problems_of(table)[0][0] == 2


@pytest.mark.parametrize("content", ["not json\nat all\n", "\n\n", "[1, 2]\n"])
def test_json_lines_without_any_object(write, content: str) -> None:
    with pytest.raises(DataError, match="has no usable row"):
        open_json_lines(write(content))


@pytest.mark.parametrize(
    "document",
    [
        [{"text": "好", "label": 1}, {"text": "坏", "label": 0}],
        {"text": ["好", "坏"], "label": [1, 0]},
        {"version": "1.0", "data": [{"text": "好", "label": 1}, {"text": "坏", "label": 0}]},
    ],
)
def test_shapes_of_json_files(write, document: object) -> None:
    table = open_json(write(json.dumps(document, indent=1)))
    assert values_of(table) == [["好", 1], ["坏", 0]]
    assert table.unit == "row"


def test_json_lines_under_the_name_json(write) -> None:
    table = open_json(write('{"text": "好"}\n{"text": \n{"text": "坏"}\n'))
    assert values_of(table) == [["好"], ["坏"]]
    assert values_of(open_json(write('{"text": "好"}\n'))) == [["好"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "好"},\n {"text": ]', "not valid JSON: .*line 2 column"),
        ("3", "unknown shape"),
        ("[]", "no usable row"),
        ('{"text": {"0": "好"}}', "unknown shape"),
    ],
)
def test_json_files_that_cannot_be_used(write, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_json(write(content))


def test_conll(write) -> None:
    content = (
        "\ufeff-DOCSTART- -X- O\n\n# doc 1 of the set\n小明 NR B-PER\n在 P O\n上海 NR B-LOC\n\n\n"
        "# O\n1 O\n\n好\n坏 A O"
    )
    table = open_conll(write(content))
    assert [(row.number, row.values) for row in rows_of(table)] == [
        (4, {"tokens": ["小明", "在", "上海"], "tags": ["B-PER", "O", "B-LOC"]}),
        (9, {"tokens": ["#", "1"], "tags": ["O", "O"]}),
        (12, None),
    ]
    assert problems_of(table) == [(12, "the token '好' has no tag")]


def test_conll_with_tabs_may_hold_spaces_as_tokens(write) -> None:
    table = open_conll(write("我\tO\n \tO\n爱\tO\r\n"))
    assert values_of(table) == [[["我", " ", "爱"], ["O", "O", "O"]]]


def test_conllu_takes_form_and_upos(write) -> None:
    content = (
        "# newdoc\n# text = I don't\n"
        "1\tI\tI\tPRON\t_\t_\t2\tnsubj\t_\t_\n"
        "2-3\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "2\tdo\tdo\tAUX\t_\t_\t0\troot\t_\t_\n"
        "3\tn't\tnot\tPART\t_\t_\t2\tadvmod\t_\t_\n"
    )
    assert values_of(open_conll(write(content))) == [[["I", "do", "n't"], ["PRON", "AUX", "PART"]]]


def test_numbered_iob(write) -> None:
    content = "# sent_id = 1\n1\t北京\tB-LOC\t-\t-\n2\t很\tO\t-\t-\n"
    assert values_of(open_conll(write(content))) == [[["北京", "很"], ["B-LOC", "O"]]]


def test_conll_without_tags(write) -> None:
    table = open_conll(write("北京\n很\n大\n"))
    assert table.columns == ("tokens",)
    assert values_of(table) == [[["北京", "很", "大"]]]


def test_conll_without_tokens(write) -> None:
    with pytest.raises(DataError, match="has no tokens"):
        open_conll(write("\n\n-DOCSTART- -X- O\n"))
