"""Dictionaries: both formats, the pairs they give, and the script map."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pretraining.conftest import CEDICT
from xlingual.data.dictionary import (
    DictionaryEntry,
    dictionary_pairs,
    read_dictionary,
    simplified_characters,
    word_translations,
)
from xlingual.errors import DataError


@pytest.fixture
def dictionary_file(tmp_path: Path) -> Path:
    """Ten CC-CEDICT entries."""
    path = tmp_path / "cedict.txt"
    path.write_text(CEDICT, encoding="utf-8")
    return path


def test_cedict_senses_are_translations(dictionary_file: Path) -> None:
    senses = {entry.simplified: entry.senses for entry in read_dictionary(dictionary_file)}
    assert senses["房间"] == ("room",)
    assert senses["好"] == ("good", "well", "done")
    assert senses["汉"] == ()


@pytest.mark.parametrize("row", ["房间\troom; chamber", "room; chamber\t房间"])
def test_two_columns_in_either_order(tmp_path: Path, row: str) -> None:
    path = tmp_path / "d.tsv"
    path.write_text(row + "\n", encoding="utf-8")
    assert read_dictionary(path) == [DictionaryEntry("房间", "房间", ("room", "chamber"))]


def test_a_line_of_neither_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.txt"
    path.write_text("房间\troom\nroom\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_dictionary(path)


def test_pairs_weigh_common_words_more(dictionary_file: Path) -> None:
    entries = read_dictionary(dictionary_file)
    bitext = dictionary_pairs(entries, text=["房间很好", "房间", "房间"])
    weights = dict(zip(bitext.english, bitext.pair_weights or [], strict=True))
    assert weights["room"] == pytest.approx(4**0.5)
    assert weights["book"] == pytest.approx(1 / 2)
    assert bitext.dropped["no_translation"] == 1


def test_traditional_characters_map_to_simplified(dictionary_file: Path) -> None:
    mapping = simplified_characters(read_dictionary(dictionary_file))
    assert mapping == {
        "間": "间", "壞": "坏", "書": "书", "買": "买", "漢": "汉",
        "車": "车", "舊": "旧", "歡": "欢",
    }  # fmt: skip


def test_a_character_of_both_scripts_is_not_mapped() -> None:
    entries = [DictionaryEntry("后", "後", ()), DictionaryEntry("后", "后", ())]
    mixed = [DictionaryEntry("干", "乾", ()), DictionaryEntry("乾", "乾", ())]
    assert simplified_characters(entries + mixed) == {"後": "后"}


@pytest.mark.parametrize("row", ["room\tchambre", "房间\t屋子"])
def test_two_columns_of_one_script_are_refused(tmp_path: Path, row: str) -> None:
    path = tmp_path / "d.tsv"
    path.write_text(row + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="one of them Chinese"):
        read_dictionary(path)


def test_words_have_their_usual_translation_first(dictionary_file: Path) -> None:
    words = word_translations(read_dictionary(dictionary_file))
    assert words["room"] == ["房间"]
    assert words["like"] == ["喜欢"]  # "to like"
    assert "variant" not in words
    entries = [
        DictionaryEntry("室", "室", ("chamber", "room")),
        DictionaryEntry("屋", "屋", ("room",)),
        DictionaryEntry("房间", "房間", ("a room", "living room")),
        DictionaryEntry("房间服务部", "房間服務部", ("room",)),
    ]
    assert word_translations(entries) == {"chamber": ["室"], "room": ["屋", "房间", "室"]}
    seen = word_translations(entries, text=["房间很大", "这个房间不错"], max_translations=2)
    assert seen["room"] == ["房间", "屋"]
