from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from xlingual.errors import ConfigError, LabelSpaceError
from xlingual.labels import LabelSpace, normalize_label, parse_label_map

NAMES = st.lists(
    st.text(alphabet="abAB一二好差评０１ _-", min_size=1, max_size=5),
    min_size=1,
    max_size=6,
    unique_by=normalize_label,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Positive", "positive"),
        ("ＰＯＳＩＴＩＶＥ", "positive"),  # full width, as a Chinese keyboard types it
        (" not_entailment ", "Not-Entailment"),
        ("sci  tech", "sci tech"),
        ("STRASSE", "straße"),
        ("好　评", "好 评"),  # the ideographic space
        ("１", "1"),
    ],
)
def test_spellings_of_one_label(one: str, other: str) -> None:
    assert normalize_label(one) == normalize_label(other)


@pytest.mark.parametrize(
    ("one", "other"), [("好评", "差评"), ("-1", "1"), ("1", "10"), ("B-PER", "I-PER")]
)
def test_labels_that_differ(one: str, other: str) -> None:
    assert normalize_label(one) != normalize_label(other)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_normalizing_twice_changes_nothing(name: str) -> None:
    once = normalize_label(name)
    assert normalize_label(once) == once


def test_positions_are_ids() -> None:
    space = LabelSpace(("差评", "中评", "好评"))
    assert space.id2label == {0: "差评", 1: "中评", 2: "好评"}
    assert space.label2id == {"差评": 0, "中评": 1, "好评": 2}
    assert len(space) == 3
    assert [space.id_of(name) for name in ("好评", " 差评 ")] == [2, 0]
    assert "中评" in space
    assert "好" not in space
    assert 1 not in space


@settings(deadline=None)
@given(NAMES)
def test_every_name_finds_its_id(names: list[str]) -> None:
    space = LabelSpace(tuple(names))
    assert [space.id_of(name.upper()) for name in names] == list(range(len(names)))
    assert LabelSpace.from_id2label(space.id2label) == space


def test_equal_names_make_equal_spaces() -> None:
    assert LabelSpace(("a", "b")) == LabelSpace(("a", "b"))
    assert LabelSpace(("a", "b")) != LabelSpace(("b", "a"))
    assert hash(LabelSpace(("a", "b"))) == hash(LabelSpace(("a", "b")))
    assert LabelSpace(("a", "B")).is_permutation_of(LabelSpace(("b", "A")))
    assert not LabelSpace(("a", "b")).is_permutation_of(LabelSpace(("a", "b", "c")))


def test_from_labels_sorts_and_keeps_the_first_spelling() -> None:
    column = ["positive", "Negative", "POSITIVE", "negative"]
    assert LabelSpace.from_labels(column).names == ("Negative", "positive")
    assert LabelSpace.from_labels(reversed(column)).names == ("negative", "POSITIVE")


def test_a_model_config_may_list_ids_in_any_order() -> None:
    assert LabelSpace.from_id2label({1: "好评", 0: "差评"}).names == ("差评", "好评")


def test_unknown_label_names_the_nearest_and_what_to_do() -> None:
    with pytest.raises(LabelSpaceError) as caught:
        LabelSpace(("negative", "positive")).id_of("positve")
    message = str(caught.value)
    assert "'positve'" in message
    assert "did you mean 'positive'" in message
    assert "negative, positive" in message
    assert "--label_map" in message


@pytest.mark.parametrize("names", [(), ("Positive", "positive"), ("好评", "好评"), ("１", "1")])
def test_refused_label_spaces(names: tuple[str, ...]) -> None:
    with pytest.raises(LabelSpaceError):
        LabelSpace(names)


def test_numbers_are_not_names() -> None:
    with pytest.raises(LabelSpaceError, match="names, not ids; got 1"):
        LabelSpace(("negative", "positive")).id_of(1)  # type: ignore[arg-type]
    with pytest.raises(LabelSpaceError, match="names, not ids; got 0"):
        LabelSpace.from_labels([0, 1])  # type: ignore[list-item]


def test_check_covers() -> None:
    space = LabelSpace(("negative", "positive"))
    space.check_covers(["Positive", "NEGATIVE", "positive"], where="hotel")
    with pytest.raises(LabelSpaceError) as caught:
        space.check_covers(["1", "0", "positive"], where="target_test 'hotel'")
    message = str(caught.value)
    assert message.startswith("target_test 'hotel' has labels that the source does not: 0, 1;")
    assert "negative, positive" in message
    assert '--label_map "0=' in message


@pytest.mark.parametrize(
    ("spec", "mapping"),
    [
        ("1=positive,0=negative", {"1": "positive", "0": "negative"}),
        (" 1 = 好评 , 0 = 差评 ", {"1": "好评", "0": "差评"}),
        ("-1=negative,1=positive", {"-1": "negative", "1": "positive"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=b,a=b,", {"a": "b"}),
        ("", {}),
        (None, {}),
    ],
)
def test_label_map(spec: str | None, mapping: dict[str, str]) -> None:
    assert parse_label_map(spec) == mapping


@pytest.mark.parametrize("spec", ["positive", "1=", "=positive", "1=positive,negative"])
def test_malformed_label_map(spec: str) -> None:
    with pytest.raises(ConfigError, match="old=new pairs such as"):
        parse_label_map(spec)


def test_label_map_renames_once() -> None:
    with pytest.raises(ConfigError, match="'Pos' twice"):
        parse_label_map("pos=positive,Pos=good")


def unknown_labels(known: list[str], found: list[str]) -> str:
    with pytest.raises(LabelSpaceError) as error:
        LabelSpace(tuple(known)).check_covers(found, where="target_test 'zh'")
    return str(error.value)


@pytest.mark.parametrize(
    ("known", "found", "flag"),
    [
        (["4", "5"], ["4星", "5星"], "4星=4,5星=5"),
        (["4星", "5星"], ["4", "5"], "4=4星,5=5星"),
        (["1", "5"], ["1 star", "5 stars"], "1 star=1,5 stars=5"),
        (["1", "3"], ["★☆☆☆☆", "★★★☆☆"], "★★★☆☆=3,★☆☆☆☆=1"),
        (["negative", "positive"], ["正面", "负面"], "正面=positive,负面=negative"),
        (["neg", "pos"], ["差評", "好評"], "好評=pos,差評=neg"),
        (["contradiction", "entailment"], ["矛盾", "蕴含"], "矛盾=contradiction,蕴含=entailment"),
        (["体育", "财经"], ["体育类", "财经类"], "体育类=体育,财经类=财经"),
        (["food", "sports"], ["food news", "sports news"], "food news=food,sports news=sports"),
        (["0", "1"], ["LABEL_0", "LABEL_1"], "LABEL_0=0,LABEL_1=1"),
    ],
)
def test_labels_that_differ_by_a_unit_get_a_line_to_paste(
    known: list[str], found: list[str], flag: str
) -> None:
    assert f'--label_map "{flag}"' in unknown_labels(known, found)
    renames = parse_label_map(flag)
    assert {renames[normalize_label(label)] for label in found} <= set(known)


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (["negative", "positive"], ["0", "1"]),  # which of the two is 1?
        (["entailment", "other"], ["not_entailment"]),
        (["fair", "good"], ["unfair", "ungood"]),
        (["好", "贵"], ["不好", "不贵"]),
        (["5", "4"], ["5星", "5分"]),  # two would become one
        (["sports", "food"], ["weather"]),
    ],
)
def test_no_renaming_is_suggested_in_doubt(known: list[str], found: list[str]) -> None:
    assert "=<one of them>" in unknown_labels(known, found)


def test_a_long_list_of_labels_is_cut_at_ten() -> None:
    error = unknown_labels(["a", "b"], [f"topic {number:02}" for number in range(40)])
    assert "topic 09 and 30 more" in error
    assert "topic 10" not in error


def test_many_scores_are_no_classes() -> None:
    with pytest.raises(LabelSpaceError, match=r'look like scores.*--label_bins "negative<='):
        LabelSpace.from_labels(f"{number / 37:.3f}" for number in range(37))
    assert len(LabelSpace.from_labels(map(str, range(77)))) == 77
    assert len(LabelSpace.from_labels(f"{number / 2}" for number in range(2, 11))) == 9
