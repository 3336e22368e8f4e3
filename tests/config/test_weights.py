from __future__ import annotations

import pytest

from xlingual.config.weights import parse_name_weights, parse_path_weights
from xlingual.errors import ConfigError


def test_weights_by_name() -> None:
    found = parse_name_weights(" 好评 = 0.5 , 差评=2", flag="--class_weights takes")
    assert found == {"好评": 0.5, "差评": 2.0}


@pytest.mark.parametrize(
    "part", ["差评", "差评=", "差评=-1", "差评=inf", "差评=nan", "差评=two", ""]
)
def test_no_weight_by_name(part: str) -> None:
    with pytest.raises(ConfigError, match="--class_weights takes positive weights") as error:
        parse_name_weights(f"好评=1,{part}", flag="--class_weights takes")
    assert str(error.value).endswith(repr(part))


def test_paths_with_and_without_a_weight() -> None:
    found = parse_path_weights("runs/教师*0.5, runs/b ,,a*b*2", flag="--teachers")
    assert found == [("runs/教师", 0.5), ("runs/b", 1.0), ("a*b", 2.0)]
    assert parse_path_weights("", flag="--teachers") == []


@pytest.mark.parametrize("part", ["a*0", "a*", "*2", "a*inf", "a*much"])
def test_no_weight_of_a_path(part: str) -> None:
    with pytest.raises(ConfigError, match=r"--bitext takes path\[\*weight\]") as error:
        parse_path_weights(f"b,{part}", flag="--bitext")
    assert str(error.value).endswith(repr(part))
