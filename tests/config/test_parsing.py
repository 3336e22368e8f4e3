from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from xlingual import DataArguments, ModelArguments, TransferArguments, parse_arguments
from xlingual.config.methods import FewShotArguments
from xlingual.errors import ConfigError


def parse(*argv: str, **defaults: object) -> dict[str, object]:
    """All arguments of a recipe, by name."""
    kinds = (ModelArguments, DataArguments, FewShotArguments, TransferArguments)
    parsed = parse_arguments(argv, *kinds, **{"output_dir": "runs/x", **defaults})
    assert [type(part) for part in parsed] == list(kinds)
    return {name: value for part in parsed for name, value in vars(part).items()}


@pytest.fixture
def config(tmp_path: Path):
    """Writes a YAML file and gives the flags that name it."""

    def write(text: str) -> tuple[str, str]:
        path = tmp_path / "配置.yaml"
        path.write_text(text, encoding="utf-8")
        return "--config", str(path)

    return write


def refused(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(*argv)
    return str(caught.value)


def test_defaults_then_config_then_flags(config) -> None:
    flags = config("seed: 2\nmax_length: 20\nadapter: lora")
    found = parse(*flags, "--max_length", "30", seed=1, output_dir="runs/zero_shot", adapter="ia3")
    assert found["output_dir"] == "runs/zero_shot"  # the recipe's
    assert (found["seed"], found["adapter"]) == (2, "lora")  # the file's
    assert found["max_length"] == 30  # the flag's
    assert found["adapter_rank"] == 16  # the dataclass's
    assert parse("--max_length=30", *flags)["max_length"] == 30, "a flag wins wherever it stands"


@pytest.mark.parametrize(
    "argv",
    [
        ["--shots_per_label", "8"],
        ["--shots_per_label=8"],
        ["--shots-per-label", "8"],
        ["shots_per_label=8"],
        ["shots_per_label=4", "shots_per_label=8"],
    ],
)
def test_spellings_of_a_flag(argv: list[str]) -> None:
    assert parse(*argv)["shots_per_label"] == 8


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--class_weights", "差评=2,中评=1"], "class_weights", "差评=2,中评=1"),
        (["--label_map", "1=好评,0=差评"], "label_map", "1=好评,0=差评"),
        (["label_map=1=好评,0=差评"], "label_map", "1=好评,0=差评"),
        (["--source_train", "task=en.csv*0.5,seed=b.csv"], "source_train", None),
        (["--source_train", "酒店=评论.jsonl"], "source_train", None),
        (["target_test=hotel=评论 2.jsonl"], "target_test", "hotel=评论 2.jsonl"),
    ],
)
def test_values_with_an_equals_sign(argv: list[str], name: str, value: str | None) -> None:
    found = parse(*argv)
    assert found[name] == (value or argv[1])
    assert (found["task"], found["seed"]) == ("sequence", 42)


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["--freeze_embeddings"], True),
        (["--freeze_embeddings", "--seed", "1"], True),
        (["--freeze_embeddings", "seed=1"], True),
        (["--freeze_embeddings", "false"], False),
        (["freeze_embeddings=no"], False),
        ([], None),
    ],
)
def test_a_switch_with_three_states(argv: list[str], value: bool | None) -> None:
    assert parse(*argv)["freeze_embeddings"] is value


def test_switches() -> None:
    assert parse("--freeze_encoder")["freeze_encoder"] is True
    assert parse("--freeze_encoder", "false")["freeze_encoder"] is False
    assert parse("--no_remove_unused_columns")["remove_unused_columns"] is False
    assert "Truthy value expected: got maybe" in refused("--freeze_encoder", "maybe")


def test_lists() -> None:
    found = parse("--adapter_target_modules", "query", "value", "--seed", "3")
    assert found["adapter_target_modules"] == ["query", "value"]
    assert found["seed"] == 3


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("learning_rate: 1e-4", "learning_rate", 1e-4),  # a word to YAML 1.1
        ("learning_rate: 0.0001", "learning_rate", 1e-4),
        ("learning_rate:", "learning_rate", None),
        ("learning_rate: null", "learning_rate", None),
        ("num_train_epochs: 2", "num_train_epochs", 2.0),
        ("max_length: '64'", "max_length", 64),
        ("freeze_encoder: yes", "freeze_encoder", True),
        ("freeze_encoder: 'true'", "freeze_encoder", True),
        ("freeze_encoder: off", "freeze_encoder", False),
        ("freeze_embeddings: false", "freeze_embeddings", False),
        ("save_strategy: no", "save_strategy", "no"),  # false to YAML 1.1
        ("class_weights: none", "class_weights", "none"),
        ("text_column: 1", "text_column", "1"),
        ("text_column: 评论内容", "text_column", "评论内容"),
        ("source_train: ./數據/訓練集.csv", "source_train", "./數據/訓練集.csv"),
        ("label_map: 1=好评,0=差评", "label_map", "1=好评,0=差评"),
        ("label_map: {1: 好评, 0: 差评}", "label_map", "1=好评,0=差评"),
        ("label_map:\n  yes: 好评\n  no: 差评", "label_map", "yes=好评,no=差评"),
        ("source_train: [a.csv, 酒店=b.csv*2]", "source_train", "a.csv,酒店=b.csv*2"),
        ("adapter_target_modules: [query, value]", "adapter_target_modules", ["query", "value"]),
        ("adapter_target_modules: Wqkv", "adapter_target_modules", ["Wqkv"]),
        (
            "lr_scheduler_type: cosine\nlr_scheduler_kwargs: {num_cycles: 2}",
            "lr_scheduler_kwargs",
            {"num_cycles": 2},
        ),
        ("", "seed", 42),
        ("# nothing but a remark", "seed", 42),
    ],
)
def test_values_in_yaml(config, text: str, name: str, value: object) -> None:
    found = parse(*config(text))[name]
    assert found == value
    assert isinstance(found, type(value))


def test_config_may_be_given_as_key_value(config) -> None:
    flag, path = config("seed: 7")
    assert parse(f"config={path}")["seed"] == 7
    assert parse(f"{flag}={path}")["seed"] == 7


def test_all_unknown_keys_at_once_with_the_nearest(config) -> None:
    flags = config("lerning_rate: 1\nno_remove_unused_columns: true\nseed: 1\nxyzzy: 2")
    message = refused(*flags, "shot_per_label=8", "--源语言=en", "--source-trian", "a.csv")
    assert f"'lerning_rate' in {flags[1]} (did you mean 'learning_rate'?)" in message
    assert "'no_remove_unused_columns' in" in message
    assert f"'xyzzy' in {flags[1]};" in message
    assert "'shot_per_label' (did you mean 'shots_per_label'?)" in message
    assert "'源语言'" in message
    assert "'source_trian' (did you mean 'source_train'?)" in message
    assert "'seed'" not in message


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--num_train_epochs", "abc"], ["--num_train_epochs", "invalid float value: 'abc'"]),
        (["seed=好"], ["--seed", "invalid int value: '好'"]),
        (["--lr_scheduler_type", "sine"], ["--lr_scheduler_type", "'sine'", "'cosine'"]),
        (["--seed"], ["--seed", "expected one argument"]),
        (["--seed", "1", "stray"], ["expected --flag value or flag=value; got stray"]),
        (["--config"], ["--config needs the path of a YAML file"]),
        (["--config", "没有.yaml"], ["--config 没有.yaml cannot be read: No such file"]),
        (["--adapter", "lorra"], ["--adapter takes none, lora, dora, ia3; got 'lorra'"]),
        (["regime=both"], ["--regime takes joint, sequential; got 'both'"]),
    ],
)
def test_refused(argv: list[str], words: list[str]) -> None:
    message = refused(*argv)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- seed\n- 3", ["expected 'key: value' lines, got a list"]),
        ("seed", ["expected 'key: value' lines, got a str"]),
        ("seed: [", ["is not YAML"]),
        ("max_length: 12.5", ["--max_length", "invalid int value: '12.5'"]),
        ("seed: true", ["--seed", "invalid int value: 'true'"]),
        ("seed: [1, 2]", ["'seed' takes one value; got [1, 2]"]),
        ("seed: {a: 1}", ["'seed' takes one value"]),
        ("num_train_epochs: 三", ["invalid float value: '三'"]),
    ],
)
def test_refused_yaml(config, text: str, words: list[str]) -> None:
    message = refused(*config(text))
    assert all(word in message for word in words), message


def test_yaml_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "gbk.yaml"
    path.write_bytes("text_column: 评论".encode("gbk"))
    assert "gbk.yaml is not YAML" in refused("--config", str(path))


def test_yaml_builds_no_objects(config) -> None:
    assert "is not YAML" in refused(*config("text_column: !!python/object/apply:os.getcwd []"))


def test_one_type_alone() -> None:
    @dataclass
    class Mine:
        number: int = 1

    (mine,) = parse_arguments(["number=3"], Mine)
    assert mine == Mine(3)


def test_help_all_lists_the_flags_of_transformers_too(capsys) -> None:
    with pytest.raises(SystemExit):
        parse("--help_all", "--no_such_flag")
    said = capsys.readouterr().out
    assert "--source_train" in said
    assert "--gradient_accumulation_steps" in said
