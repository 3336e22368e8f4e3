"""Spans with offsets in the text as it was given, for Chinese without spaces too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import softmax

from tests.classifiers import (
    byte_tokenizer,
    save_classifier,
    sentencepiece_tokenizer,
)
from tests.inference.plain import logits_of
from xlingual.inference import Predictor
from xlingual.inference.spans import Tagged, align_characters, decode_spans, join_tokens

ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


def tagger(tokenizer, tags: dict[str, str], *, max_length: int = 64, labels=ENTITIES) -> Predictor:
    """A model that knows a tag for each piece, and nothing of its context."""
    by_id = {tokenizer.convert_tokens_to_ids(piece): tag for piece, tag in tags.items()}

    def session(batch):
        ids = batch["input_ids"]
        logits = np.zeros((*ids.shape, len(labels)), dtype="float32")
        for place in np.ndindex(*ids.shape):
            logits[(*place, labels.index(by_id.get(int(ids[place]), "O")))] = 4.0
        return logits

    return Predictor(
        session, tokenizer, label_names=labels, task="token", max_length=max_length, token_budget=99
    )


CHINESE_TAGS = {
    "张": "B-PER", "伟": "I-PER", "李": "B-PER", "娜": "I-PER",
    "北京": "B-ORG", "大学": "I-ORG",
}  # fmt: skip
ENGLISH_TAGS = {"▁Ann": "B-PER", "▁Wash": "B-LOC"}  # "ing" and "ton" are never tagged in training


def found_in(answer) -> list[tuple[str, str]]:
    return [(span.label, span.text) for span in answer.spans]


def test_spans_of_chinese_without_spaces():
    text = "张伟和李娜在北京大学读书，李娜去了Acme公司。"
    (answer,) = tagger(sentencepiece_tokenizer(), CHINESE_TAGS).predict([text])
    assert found_in(answer) == [
        ("PER", "张伟"), ("PER", "李娜"), ("ORG", "北京大学"), ("PER", "李娜"),
    ]  # fmt: skip
    for span in answer.spans:
        assert text[span.start : span.end] == span.text
    expected = softmax([4.0] + [0.0] * (len(ENTITIES) - 1))[0]
    assert answer.spans[0].probability == pytest.approx(expected)
    assert answer.spans[0].start == 0  # the bare ▁ before it takes nothing from it


def test_offsets_count_in_the_text_as_it_was_given():
    text = "\ufeff \t张\u200b伟\r\n在\u202e北京\u00ad大学读书😀 \u3000"
    (answer,) = tagger(sentencepiece_tokenizer(), CHINESE_TAGS).predict([text])
    assert found_in(answer) == [("PER", "张\u200b伟"), ("ORG", "北京\u00ad大学")]
    for span in answer.spans:
        assert text[span.start : span.end] == span.text


def test_an_english_word_is_tagged_by_its_first_piece():
    texts = ["Ann lives in Washington", "Ann lives in Washington， 李娜在北京大学"]
    tags = ENGLISH_TAGS | CHINESE_TAGS
    first, second = tagger(sentencepiece_tokenizer(), tags).predict(texts)
    assert found_in(first) == [("PER", "Ann"), ("LOC", "Washington")]
    assert found_in(second)[:3] == [("PER", "Ann"), ("LOC", "Washington"), ("PER", "李娜")]


def test_characters_cut_into_bytes_stay_whole():
    tokenizer = byte_tokenizer()
    first = tokenizer.tokenize("李")[0]
    assert len(tokenizer.tokenize("李")) == 3
    tags = {first: "B-PER", tokenizer.tokenize("娜")[0]: "I-PER"}
    (answer,) = tagger(tokenizer, tags).predict(["😀李娜😀。"])
    assert found_in(answer) == [("PER", "李娜")]


def test_long_texts_are_read_to_the_end():
    sentence = "张伟和李娜在北京大学读书，"
    text = sentence * 40
    whole, windowed = (
        tagger(sentencepiece_tokenizer(), CHINESE_TAGS, max_length=size).predict([text, sentence])
        for size in (5_000, 16)
    )
    assert windowed == whole
    assert len(whole[0].spans) == 120
    assert not windowed[0].truncated


def test_a_window_decides_where_it_sees_the_context():
    """Tokens at the edge of a window are tagged by a window in which they stand further inside."""
    tokenizer = sentencepiece_tokenizer()

    def timid(batch):
        logits = np.zeros((*batch["input_ids"].shape, len(ENTITIES)), dtype="float32")
        logits[..., ENTITIES.index("B-PER")] = 2.0  # wrong, wherever the context is missing
        logits[:, 4:-4, 0] = 4.0
        return logits

    found = Predictor(
        timid, tokenizer, label_names=ENTITIES, task="token", max_length=34, token_budget=1
    )
    (answer,) = found.predict(["读书" * 100])
    inside = [span for span in answer.spans if 4 <= span.start < 196]
    assert inside == []
    assert answer.spans  # the first and last tokens of the text have no other window


def test_tokens_get_one_tag_each():
    tokens = ["张", "伟", "在", "\u200b", "北京", "大学", "in", "Washington", "lives", "Ann"]
    tags = CHINESE_TAGS | ENGLISH_TAGS
    (answer,) = tagger(sentencepiece_tokenizer(), tags).predict([tokens])
    assert answer.tags == (
        "B-PER", "I-PER", "O", "O", "B-ORG", "I-ORG", "O", "B-LOC", "O", "B-PER",
    )  # fmt: skip
    assert [(s.label, s.start, s.end, s.text) for s in answer.spans] == [
        ("PER", 0, 2, "张伟"),
        ("ORG", 4, 6, "北京大学"),
        ("LOC", 7, 8, "Washington"),
        ("PER", 9, 10, "Ann"),
    ]


def test_a_piece_over_two_tokens_begins_no_second_entity():
    (answer,) = tagger(sentencepiece_tokenizer(), {"北京": "B-LOC"}).predict([["北", "京"]])
    assert answer.tags == ("B-LOC", "I-LOC")
    assert found_in(answer) == [("LOC", "北京")]


def test_tagging_takes_odd_rows():
    model = tagger(sentencepiece_tokenizer(), CHINESE_TAGS)
    found = model.predict([None, "", [], ["\u200b"], ["a", None], "\0", "😀", "？"])
    assert [bool(answer.error) for answer in found] == [True] * 6 + [False] * 2
    assert all(answer.spans == () for answer in found)


def test_a_saved_tagger(encoders, tmp_path):
    folder = save_classifier(encoders["bert"], tmp_path / "t", labels=ENTITIES, kind="Token")
    text = "房间很脏，服务员态度恶劣。"
    found = Predictor.from_pretrained(folder, device="cpu")
    assert found.task.name == "token"
    ids = logits_of(folder, [text], name="Token")[0, 1:-1].argmax(axis=-1)
    (answer,) = found.predict([list(text)])
    assert answer.tags == tuple(ENTITIES[position] for position in ids)  # a piece a character


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A O I-B I-A", [(0, 2, "A"), (3, 4, "B"), (4, 5, "A")]),  # as the CoNLL scorer
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A I-A E-A S-A B-B", [(0, 3, "A"), (3, 4, "A"), (4, 5, "B")]),  # BIOES
        ("B-A L-A U-A I-A", [(0, 2, "A"), (2, 3, "A"), (3, 4, "A")]),  # BILOU
        ("A A O B A", [(0, 2, "A"), (3, 4, "B"), (4, 5, "A")]),  # IO
        ("B-x-y I-x-y", [(0, 2, "x-y")]),
        ("O O", []),
    ],
)
def test_decoding_of_tags(tags, expected):
    tagged = [Tagged(i, i + 1, tag, 0.5) for i, tag in enumerate(tags.split())]
    spans = decode_spans(tagged, label_names=("O", *tags.split()))
    assert [(span.start, span.end, span.label) for span in spans] == expected


def test_parts_of_speech_are_not_joined():
    tagged = [Tagged(i, i + 1, "NOUN", 0.5) for i in range(3)]
    assert len(decode_spans(tagged, label_names=("NOUN", "VERB"))) == 3


@given(st.text(alphabet="a床 \t\r\n\u2028\u200b\u200d\x00\x0b\x85\u00ad😀👩", max_size=30))
def test_places_of_cleaned_characters(text):
    from xlingual.data.readers.cleaning import clean_text

    cleaned = clean_text(text)
    places = list(align_characters(text, cleaned))
    assert places == sorted(set(places))
    for character, place in zip(cleaned, places, strict=True):
        assert text[place] == character or (text[place].isspace() and character.isspace())


def test_tokens_are_joined_as_people_write():
    tokens = ["Ann", "在", "北京", "and", "", "Bob", "，", "ok"]
    text, ranges = join_tokens(tokens)
    assert text == "Ann在北京and Bob，ok"
    assert [text[start:end] for start, end in ranges] == tokens
