"""The corpus that ships with the package is as documented."""

from __future__ import annotations

from collections import Counter

import pytest
from datasets import DatasetDict

from xlingual import embedded_corpus
from xlingual.data import find_overlap
from xlingual.languages import detect_language, detect_script

SPLITS = {
    "source_train": 600,
    "source_validation": 150,
    "target_train": 64,
    "target_unlabeled": 300,
    "target_validation": 100,
    "target_test": 300,
}


@pytest.fixture(scope="module")
def corpus() -> DatasetDict:
    return embedded_corpus()


def ngrams(text: str, size: int, *, is_chinese: bool) -> set[tuple[str, ...]]:
    units = [c for c in text if c.isalnum()] if is_chinese else text.lower().split()
    return {tuple(units[i : i + size]) for i in range(len(units) - size + 1)}


def test_splits_and_columns(corpus: DatasetDict) -> None:
    assert list(corpus) == list(SPLITS)
    for name, rows in corpus.items():
        assert len(rows) >= SPLITS[name], name
        label = [] if name == "target_unlabeled" else ["label"]
        assert rows.column_names == ["text", *label, "domain_name"]
        assert all(text and text == text.strip() for text in rows["text"])


def test_domains(corpus: DatasetDict) -> None:
    products = {"books", "electronics", "kitchen", "films"}
    for name, rows in corpus.items():
        expected = products if name.startswith("source") else {"hotel"}
        assert set(rows["domain_name"]) == expected, name


@pytest.mark.parametrize("name", [name for name in SPLITS if name != "target_unlabeled"])
def test_labels_are_balanced_enough_to_need_no_trick(corpus: DatasetDict, name: str) -> None:
    counts = Counter(corpus[name]["label"])
    assert counts.keys() == {"negative", "positive"}
    assert 0.4 <= counts["positive"] / counts.total() <= 0.6


def test_languages(corpus: DatasetDict) -> None:
    for name, rows in corpus.items():
        wanted = "en" if name.startswith("source") else "zh"
        found = Counter(detect_language([text]) for text in rows["text"])
        assert found[wanted] >= 0.97 * len(rows), (name, found)


def test_some_target_rows_are_traditional(corpus: DatasetDict) -> None:
    scripts = Counter(detect_script(text) for text in corpus["target_test"]["text"])
    assert 5 <= scripts["Hant"] <= 60
    assert scripts["Hans"] > 200


def test_lengths(corpus: DatasetDict) -> None:
    for name, rows in corpus.items():
        if name.startswith("source"):
            sizes = [len(text.split()) for text in rows["text"]]
        else:
            sizes = [sum(c.isalnum() for c in text) / 1.6 for text in rows["text"]]
        inside = sum(4 <= size <= 66 for size in sizes)
        assert inside >= 0.97 * len(rows), (name, min(sizes), max(sizes))
        assert max(sizes) > 2 * min(sizes)


def test_no_row_is_there_twice(corpus: DatasetDict) -> None:
    names = list(corpus)
    for position, name in enumerate(names):
        assert len(set(corpus[name]["text"])) == len(corpus[name])
        others = [corpus[other] for other in names[:position]]
        assert find_overlap(others, corpus[name]) == 0, name


@pytest.mark.parametrize(("side", "size"), [("source", 6), ("target", 8)])
def test_sentences_are_written_not_filled_in(corpus: DatasetDict, side: str, size: int) -> None:
    """No sequence of words (or characters) occurs in more than 2% of the rows."""
    texts = [text for name in corpus if name.startswith(side) for text in corpus[name]["text"]]
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(text, size, is_chinese=side == "target"))
    (phrase, most), *_ = counts.most_common(1)
    assert most <= 0.02 * len(texts), phrase


def test_no_word_gives_the_label_away(corpus: DatasetDict) -> None:
    """The rows need more than one word list: no single token decides a tenth of a class."""
    rows = corpus["source_train"]
    counts: dict[str, Counter[str]] = {"positive": Counter(), "negative": Counter()}
    for text, label in zip(rows["text"], rows["label"], strict=True):
        counts[label].update(set(text.lower().split()))
    for label, other in (("positive", "negative"), ("negative", "positive")):
        size = sum(row == label for row in rows["label"])
        for word, count in counts[label].most_common(60):
            assert count < 0.1 * size or counts[other][word] > 0.1 * count, (word, label)
