"""The methods that are chosen, and the data, settings and models that their runs get."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from xlingual.comparing import METHODS, choose_methods, plan_runs
from xlingual.comparing.methods import BY_EVIDENCE, NOT_BY_DEFAULT
from xlingual.config.methods import (
    TRANSLATE_TRAIN_METHODS,
    UNLABELED_TARGET_METHODS,
    CompareArguments,
    MethodArguments,
)
from xlingual.errors import ConfigError

RECIPES = Path(__file__).parents[2] / "recipes"
DATA = {
    "source_train": "en.csv", "target_unlabeled": "zh.txt", "target_train": "zh.csv",
    "target_test": "zh.test.csv", "bitext": "pairs.tsv", "dictionary": "words.txt",
}  # fmt: skip


def planned(*methods: str, settings=None, method_settings=None) -> list:
    return plan_runs(
        methods, [0, 1], recipes=RECIPES, output_dir="out", data=DATA, settings=settings or {},
        method_settings=method_settings or {}, target_language="zh",
    )  # fmt: skip


def test_every_method_names_a_recipe_that_knows_it():
    assert all((RECIPES / f"{method.recipe}.py").is_file() for method in METHODS.values())
    for name, method in METHODS.items():
        known = {
            "unlabeled_target": UNLABELED_TARGET_METHODS,
            "translate_train": TRANSLATE_TRAIN_METHODS,
        }
        if method.recipe in known:
            assert method.flags["method"] == name
            assert name in known[method.recipe]
    assert set(NOT_BY_DEFAULT) | set(BY_EVIDENCE) <= set(METHODS)


def test_methods_by_what_the_data_allows():
    known = {"zero_shot": (), "coral": ("target_unlabeled",), "dann": ("target_unlabeled",)}
    choose = partial(choose_methods, CompareArguments())
    assert choose({"source_train"}, known=known) == ["zero_shot"]
    given = {"source_train", "target_unlabeled"}
    assert choose(given, known=known) == ["zero_shot", "coral"]
    asked = partial(choose_methods, CompareArguments(methods="dann, zero_shot"))
    assert asked(given, known=known) == ["zero_shot", "dann"]
    with pytest.raises(ConfigError, match="dann needs --target_unlabeled"):
        asked({"source_train"}, known=known)
    with pytest.raises(ConfigError, match="takes zero_shot, coral, dann; got 'magic'"):
        choose_methods(CompareArguments(methods="magic"), given, known=known)
    with pytest.raises(ConfigError, match="--seeds"):
        CompareArguments(seeds=[1, 1])


def test_a_run_is_told_of_its_own_data_alone():
    runs = planned("frozen_self_training", "bitext_consistency", "few_shot", "supervised")
    assert [run.name for run in runs[::4]] == ["frozen_self_training-0", "frozen_self_training-1"]
    frozen, bitext, few_shot, ceiling = (run.settings for run in runs[:4])
    everywhere = {"source_train": "en.csv", "target_test": "zh.test.csv"}
    assert frozen == {**everywhere, "self_training": True, "target_unlabeled": "zh.txt"}
    assert bitext == {
        **everywhere, "method": "bitext_consistency", "bitext": "pairs.tsv",
        "target_unlabeled": "zh.txt",
    }  # fmt: skip
    assert few_shot == {**everywhere, "target_train": "zh.csv"}
    assert ceiling == {
        "source_train": "zh.csv", "target_test": "zh.test.csv",
        "source_language": "supervised_zh",
    }  # fmt: skip


def test_settings_go_to_the_recipes_that_know_them():
    settings = {"shots_per_label": 8, "guard": False, "dictionary": "words.txt"}
    runs = planned(
        "zero_shot_average", "coral", "code_switching", "few_shot",
        settings={"max_length": 64, "selection": "source_dev"}, method_settings=settings,
    )  # fmt: skip
    average, coral, switching, few_shot = (run.settings for run in runs[:4])
    assert average["selection"] == "average", "the method's own flag"
    assert {"guard", "shots_per_label", "dictionary"}.isdisjoint(average)
    assert (coral["guard"], coral["selection"], coral["method"]) == (False, "source_dev", "coral")
    assert (switching["guard"], switching["dictionary"]) == (False, "words.txt")
    assert (few_shot["shots_per_label"], few_shot["max_length"]) == (8, 64)
    assert "guard" not in few_shot


def test_who_starts_from_the_zero_shot_model_of_its_seed():
    methods = ("zero_shot", "zero_shot_average", "coral", "few_shot", "supervised")
    for run in planned(*methods):
        if run.method in ("coral", "few_shot"):
            assert run.after == f"zero_shot-{run.seed}"
            assert run.settings["zero_shot_model"] == str(Path("out", run.after))
        else:
            assert run.after is None
            assert "zero_shot_model" not in run.settings
    given = {"zero_shot_model": "mine"}
    for runs in (
        planned("coral"),
        planned(*methods, settings={"adapter": "lora"}),
        planned(*methods, method_settings=given),
    ):
        assert all(run.after is None for run in runs)
    coral = planned(*methods, method_settings=given)[2]
    assert coral.settings["zero_shot_model"] == "mine"


def test_the_files_that_are_given_choose_methods():
    files = MethodArguments(dictionary="words.txt", bitext="pairs.tsv").files
    assert files == {"dictionary": "words.txt", "bitext": "pairs.tsv"}
    data = {"source_train": "en.csv", **files}
    chosen = choose_methods(CompareArguments(), data)
    assert chosen == [
        "zero_shot", "zero_shot_average", "frozen_features", "code_switching", "bitext_consistency",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="distill needs --teachers"):
        choose_methods(CompareArguments(methods="distill"), data)
    with pytest.raises(ConfigError, match="--shots_per_label"):
        MethodArguments(shots_per_label=0)
    with pytest.raises(ConfigError, match="--confidence_threshold"):
        MethodArguments(confidence_threshold=2)
