from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from xlingual.data.readers.sources import DataSource, file_format, looks_local, parse_sources
from xlingual.errors import ConfigError


def parse_one(spec: str) -> DataSource:
    (source,) = parse_sources(spec, default_name="target_test")
    return source


def touch(folder: Path, name: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text,label\n很好,1\n", encoding="utf-8")
    return str(path)


def test_all_parts() -> None:
    sources = parse_sources(
        "hotel=zh_hotel.jsonl*0.3, books.csv.gz ,org/reviews:zh@train[:100]*2,nli=org/xnli@test",
        default_name="source_train",
    )
    assert sources == [
        DataSource("hotel", "zh_hotel.jsonl", weight=0.3, is_named=True),
        DataSource("books", "books.csv.gz"),
        DataSource("reviews_zh", "org/reviews", config="zh", split="train[:100]", weight=2.0),
        DataSource("nli", "org/xnli", split="test", is_named=True),
    ]
    assert str(sources[2]) == "org/reviews:zh@train[:100]"


@pytest.mark.parametrize(
    ("spec", "name", "path"),
    [
        ("data/en.train.jsonl.gz", "en_train", "data/en.train.jsonl.gz"),
        ("酒店评论.csv", "酒店评论", "酒店评论.csv"),
        ("酒店=评论.csv", "酒店", "评论.csv"),
        ("imdb", "imdb", "imdb"),
        ("./saved/", "saved", "./saved/"),
        (r"C:\data\train.csv", "train", r"C:\data\train.csv"),
        (r"b=D:/data/dev.tsv", "b", "D:/data/dev.tsv"),
        (r"\\server\share\dev.tsv", "dev", r"\\server\share\dev.tsv"),
        ("~/..", "target_test", "~/.."),
    ],
)
def test_names_and_paths(spec: str, name: str, path: str) -> None:
    source = parse_one(spec)
    assert (source.name, source.path) == (name, path)
    assert (source.config, source.split) == (None, None)


def test_equal_derived_names_are_told_apart_by_folder_then_number() -> None:
    spec = "en/train.csv,zh/train.csv,zh/train.csv,train.csv,zh_train=x.csv"
    names = [source.name for source in parse_sources(spec, default_name="source_train")]
    assert names == ["train", "zh_train_2", "zh_train_3", "train_2", "zh_train"]


@pytest.mark.parametrize(
    "name", ["a,b.csv", "a=b.csv", "a*2.csv", "x=a*0.5,b@c.csv", "a@b.csv", "评论, 二=三.csv"]
)
def test_an_existing_path_wins(tmp_path: Path, name: str) -> None:
    path = touch(tmp_path, name)
    assert parse_one(path).path == path
    other = touch(tmp_path, "plain.csv")
    first, second, third = parse_sources(
        f"hotel={path}*0.5,{other},{path}", default_name="source_train"
    )
    assert (first.name, first.path, first.weight) == ("hotel", path, 0.5)
    assert second.path == other
    assert third.path == path


def test_an_existing_path_wins_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "a=b.csv")
    assert parse_one("a=b.csv").path == "a=b.csv"
    assert parse_one("a=c.csv").path == "c.csv"


def test_split_of_a_saved_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    source = parse_one(f"{tmp_path / 'set'}@test*3")
    assert (source.path, source.split, source.weight) == (str(tmp_path / "set"), "test", 3.0)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("a.csv,,b.csv", "before or after a comma"),
        ("a.csv,", "before or after a comma"),
        ("a.csv*0", "above 0"),
        ("a.csv*-1", "above 0"),
        ("a.csv*nan", "above 0"),
        ("a.csv*inf", "above 0"),
        ("a.csv*much", "got 'much'"),
        ("data/*.jsonl", "patterns are not expanded"),
        ("=a.csv", "no name before '='"),
        ("name=", "no path"),
        ("hotel reviews=a.csv", "letters, digits"),
    ],
)
def test_errors_quote_the_argument(spec: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_sources(spec, default_name="target_test")
    message = str(error.value)
    assert problem in message
    assert f"--target_test {spec!r}" in message
    assert "[name=]path[*weight]" in message


def test_a_given_name_may_stand_once() -> None:
    with pytest.raises(ConfigError, match="names two data sets 'a'"):
        parse_sources("a=x.csv,a=y.csv", default_name="source_train")


def test_a_source_made_by_hand_is_checked() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        DataSource("a", "x.csv", weight=0.0)
    with pytest.raises(ConfigError, match="letters, digits"):
        DataSource("a/b", "x.csv")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x.CSV", "csv"),
        ("x.jsonl.gz", "jsonl"),
        ("x.conllu", "conll"),
        ("x.xlsx", "xlsx"),
        ("x", None),
    ],
)
def test_file_format(path: str, expected: str | None) -> None:
    assert file_format(path) == expected


@pytest.mark.parametrize("path", ["x.csv", "./x", "/x", "~/x", "a/b/c", "a\\b", "C:/x", "folder/"])
def test_looks_local(path: str) -> None:
    assert looks_local(path)


@pytest.mark.parametrize("path", ["imdb", "org/name", "org/name.v2"])
def test_looks_like_a_hub_id(path: str) -> None:
    assert not looks_local(path)


NAMES = st.from_regex(r"[a-z一二三][a-z0-9_]{0,8}", fullmatch=True)
WEIGHTS = st.floats(min_value=1e-3, max_value=1e3, allow_nan=False)


@given(st.lists(st.tuples(NAMES, NAMES, WEIGHTS), min_size=1, max_size=4, unique_by=lambda e: e[0]))
def test_what_is_written_is_read(entries: list[tuple[str, str, float]]) -> None:
    spec = ",".join(f"{name}=no/such/{stem}.csv*{weight!r}" for name, stem, weight in entries)
    sources = parse_sources(spec, default_name="source_train")
    read = [(source.name, source.path, source.weight) for source in sources]
    assert read == [(name, f"no/such/{stem}.csv", weight) for name, stem, weight in entries]


@given(st.text(alphabet=st.sampled_from("ab中./\\:@=*,0 "), max_size=20))
def test_any_spec_is_read_or_refused_with_a_config_error(spec: str) -> None:
    try:
        sources = parse_sources(spec, default_name="source_train")
    except ConfigError:
        return
    names = [source.name for source in sources]
    assert len(set(names)) == len(names) > 0
