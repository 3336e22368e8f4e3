"""A corpus of 600 pairs written here, and a dictionary of ten entries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from transformers import PreTrainedTokenizerFast

from xlingual.pretraining import read_dictionary, train_tokenizer

NOUNS = [("room", "房间"), ("hotel", "酒店"), ("book", "书"), ("phone", "手机"), ("car", "汽车")]
ADJECTIVES = [("good", "好"), ("bad", "坏"), ("new", "新"), ("old", "旧"), ("cheap", "便宜")]
SUBJECTS = [("I", "我"), ("you", "你"), ("we", "我们"), ("they", "他们")]
VERBS = [("like", "喜欢"), ("buy", "买"), ("see", "看见")]

PAIRS = [
    (f"{s[0]} {v[0]} the {a[0]} {n[0]}{plural}.", f"{s[1]}{v[1]}{many}{a[1]}{n[1]}。")
    for s, v, a, n in itertools.product(SUBJECTS, VERBS, ADJECTIVES, NOUNS)
    # The plural also makes "▁room" a part of two words, which is what a Unigram piece grows from.
    for plural, many in (("", ""), ("s", "些"))
]

CEDICT = """\
# CC-CEDICT
房間 房间 [fang2 jian1] /room/CL:間|间[jian1],個|个[ge4]/
好 好 [hao3] /good/well/(after a verb) done/
壞 坏 [huai4] /bad/spoiled/
書 书 [shu1] /book/letter/
買 买 [mai3] /to buy/to purchase/
漢 汉 [han4] /variant of 漢|汉/
汽車 汽车 [qi4 che1] /car/
舊 旧 [jiu4] /old/
喜歡 喜欢 [xi3 huan5] /to like/
酒店 酒店 [jiu3 dian4] /hotel/
"""


@pytest.fixture(autouse=True, scope="module")
def _precision_of_its_own() -> Iterator[None]:
    """accelerate allows one precision in a process, and other tests may have set another."""
    before = dict(AcceleratorState._shared_state)
    AcceleratorState._reset_state()
    yield
    AcceleratorState._shared_state.clear()
    AcceleratorState._shared_state.update(before)


@pytest.fixture(scope="session")
def bitext_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 clean pairs, tab-separated."""
    path = tmp_path_factory.mktemp("bitext") / "pairs.tsv"
    path.write_text("".join(f"{en}\t{zh}\n" for en, zh in PAIRS), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def dictionary_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten CC-CEDICT entries."""
    path = tmp_path_factory.mktemp("dictionary") / "cedict.txt"
    path.write_text(CEDICT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer(dictionary_file: Path) -> PreTrainedTokenizerFast:
    """A joint tokenizer of 60 pieces."""
    entries = read_dictionary(dictionary_file)
    return train_tokenizer(
        [text for pair in PAIRS for text in pair],
        vocab_size=60,
        chinese_words={"我们", "他们", "房间", "酒店"},
        characters={e.traditional: e.simplified for e in entries if len(e.traditional) == 1},
    )
