from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from xlingual import languages
from xlingual.errors import ConfigError
from xlingual.languages import detect_language, detect_script, normalize_language_tag

SIMPLIFIED = [
    "这家酒店离地铁站很近，前台态度也热情。",
    "隔音太差，半夜还能听见楼下的车声。",
    "ＷｉＦｉ信号时断时续，退房时没人道歉。",
    "用了三个月，电池续航依旧稳定",
]
TRADITIONAL = [
    "這家飯店離捷運站很近，櫃檯人員也親切。",
    "隔音太差，半夜還聽得見樓下的車聲。",
    "早餐選擇豐富，只是位子有點擠。",
    "用了三個月，電池續航依舊穩定",
]


@pytest.mark.parametrize("text", SIMPLIFIED)
def test_simplified(text: str) -> None:
    assert detect_script(text) == "Hans"


@pytest.mark.parametrize("text", TRADITIONAL)
def test_traditional(text: str) -> None:
    assert detect_script(text) == "Hant"


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("好吃", "Hani"),
        ("早上八点" + "早上八點", "Hani"),  # one of each
        ("The room was clean and quiet.", "Latn"),
        ("Ｖｅｒｙ　ｇｏｏｄ", "Latn"),
        ("Hôtel très agréable, déjà réservé", "Latn"),
        ("Номер был чистый и тихий.", "Cyrl"),
        ("部屋はとても綺麗でした。", "Jpan"),
        ("ホテルの朝食", "Jpan"),
        ("방이 정말 깨끗했어요.", "Kore"),
        ("", "Zyyy"),
        (" \t\n　", "Zyyy"),
        ("12345, 67%！？😀", "Zyyy"),
    ],
)
def test_scripts(text: str, script: str) -> None:
    assert detect_script(text) == script


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("iPhone 15 Pro Max 的屏幕显示效果很惊艳", "Hans"),
        ("The word 酒店 means hotel in Chinese, as far as I know.", "Latn"),
        ("今天吃到了優の良品，開心ヾ(≧▽≦)ノ", "Hant"),
        ("优の良品的话梅还不错", "Hans"),
        ("OK 好", "Hani"),  # a tie goes to Chinese
    ],
)
def test_mixed_text_has_the_script_of_its_larger_part(text: str, script: str) -> None:
    assert detect_script(text) == script


def test_character_tables_are_disjoint_and_free_of_repetitions() -> None:
    simplified, traditional = languages._SIMPLIFIED, languages._TRADITIONAL
    assert not set(simplified) & set(traditional)
    assert len(set(simplified)) == len(simplified) > 300
    assert len(set(traditional)) == len(traditional) > 300
    names = {unicodedata.name(character)[:21] for character in simplified + traditional}
    assert names == {"CJK UNIFIED IDEOGRAPH"}


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (SIMPLIFIED, "zh"),
        (TRADITIONAL, "zh"),
        ([*SIMPLIFIED, "ok", "好", "123"], "zh"),
        (["Lovely place.", "Would not stay again", "👍", "10/10"], "en"),
        (["Lovely place.", "房间很干净"], "und"),
        (["部屋はとても綺麗でした。"], "und"),
        ([], "und"),
        (["", "123"], "und"),
        ("房间很干净", "zh"),  # a single text is not an iterable of characters
    ],
)
def test_language_of_a_data_set(texts: list[str], language: str) -> None:
    assert detect_language(texts) == language


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh_CN", "zh"),
        ("zh-Hant-TW", "zh"),
        ("zh_CN.UTF-8", "zh"),
        ("Chinese", "zh"),
        ("Chinese (Simplified)", "zh"),
        ("中文", "zh"),
        ("繁體中文", "zh"),
        ("ＣＭＮ", "zh"),
        ("ENGLISH", "en"),
        (" en-GB ", "en"),
        ("eng", "en"),
        ("英语", "en"),
        ("fr_FR", "fr"),
        ("yue", "yue"),
    ],
)
def test_language_tags(tag: str, language: str) -> None:
    assert normalize_language_tag(tag) == language


@pytest.mark.parametrize("tag", ["Chinesse", "", "12", "klingonese"])
def test_unknown_language_names_are_refused(tag: str) -> None:
    with pytest.raises(ConfigError, match="expected a language tag") as error:
        normalize_language_tag(tag)
    assert ("did you mean 'chinese'" in str(error.value)) == (tag == "Chinesse")


@given(st.text())
def test_any_text_has_a_script(text: str) -> None:
    script = detect_script(text)
    assert len(script) == 4
    assert script.istitle()
    assert detect_script(f"  {text}\n12.") == script


@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_data_set_has_a_language(texts: list[str]) -> None:
    assert detect_language(texts) in {"en", "zh", "und"}
