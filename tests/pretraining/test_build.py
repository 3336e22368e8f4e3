"""The recipe end to end, the folder it leaves, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from tests.pretraining.teachers import save_teacher
from xlingual.cli.catalogue import load_recipe
from xlingual.cli.recipes import parse_recipe
from xlingual.errors import ConfigError, DataError, ModelLoadError
from xlingual.pretraining import embed_sentences, load_encoder, parse_weighted_paths, save_encoder

RECIPE = Path(__file__).parents[2] / "recipes" / "pretrain_encoder.py"
SETTINGS = {
    "vocab_size": 58,
    "dim": 16,
    "num_layers": 1,
    "intermediate_size": 16,
    "static_steps": 2,
    "steps": 4,
    "save_every": 2,
    "contrast_batch": 8,
    "prediction_batch": 4,
    "precision": "no",
}
TINY = [part for key, value in SETTINGS.items() for part in (f"--{key}", str(value))]


@pytest.fixture(scope="module")
def recipe() -> Callable[[list[str]], None]:
    main = load_recipe(RECIPE).main
    return lambda flags: main(*parse_recipe(main, flags))


@pytest.fixture(scope="module")
def built(
    recipe: Callable[[list[str]], None],
    bitext_file: Path,
    dictionary_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    output = tmp_path_factory.mktemp("build")
    sources = ["--bitext", f"{bitext_file}*2", "--dictionary", str(dictionary_file)]
    recipe([*sources, "--output_dir", str(output), *TINY])
    return output


def test_the_folder_loads_without_code_of_ours(built: Path) -> None:
    folder = built / "encoder"
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    assert model.dtype == torch.float32  # stored in half precision, ready to be trained
    assert model.config.classifier_pooling == "mean"
    assert AutoTokenizer.from_pretrained(folder).is_fast
    bare = AutoModel.from_pretrained(folder, dtype=torch.float32)
    with_head = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(bare.state_dict(), with_head.model.state_dict())


def test_tied_weights_are_stored_once(built: Path) -> None:
    model, _ = load_encoder(built / "encoder")
    halves = 2 * sum(p.numel() for p in model.parameters())
    assert (built / "encoder" / "model.safetensors").stat().st_size < halves + 8192


def test_held_out_retrieval_is_logged_at_each_checkpoint(built: Path) -> None:
    rows = [json.loads(line) for line in (built / "retrieval.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(0 <= row["mean"] <= 1 for row in rows)


def test_a_finished_build_has_nothing_left_to_do(
    recipe: Callable[[list[str]], None], built: Path, bitext_file: Path, dictionary_file: Path
) -> None:
    before = (built / "encoder" / "model.safetensors").read_bytes()
    sources = ["--bitext", f"{bitext_file}*2", "--dictionary", str(dictionary_file)]
    recipe([*sources, "--output_dir", str(built), *TINY])
    assert (built / "encoder" / "model.safetensors").read_bytes() == before


def test_the_settings_may_stand_in_a_file(
    recipe: Callable[[list[str]], None], built: Path, bitext_file: Path, dictionary_file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    lines = [f"{key}: {value}" for key, value in SETTINGS.items()]
    lines += [f"bitext: {bitext_file}*2", f"dictionary: {dictionary_file}"]
    config = tmp_path / "encoder.yaml"
    config.write_text("\n".join(lines), encoding="utf-8")
    recipe(["--config", str(config), "--output_dir", str(tmp_path / "out")])
    same = [
        (path / "encoder" / "model.safetensors").read_bytes() for path in (built, tmp_path / "out")
    ]
    assert same[0] == same[1]


def test_an_encoder_is_trained_further_on_text(
    recipe: Callable[[list[str]], None], built: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("I like the room.\n我喜欢书。\n" * 20, encoding="utf-8")
    arguments = ["--encoder", str(built / "encoder"), "--monolingual", str(text)]
    recipe([*arguments, "--output_dir", str(tmp_path / "out"), *TINY])
    old, _ = load_encoder(built / "encoder")
    new, _ = load_encoder(tmp_path / "out" / "encoder")
    name = "model.layers.0.mlp.Wi.weight"
    assert not torch.equal(old.state_dict()[name], new.state_dict()[name])


def test_a_student_of_a_teacher_holds_nothing_of_it(
    recipe: Callable[[list[str]], None], built: Path, bitext_file: Path, dictionary_file: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    teacher, output = save_teacher(tmp_path / "teacher"), tmp_path / "out"
    sources = ["--bitext", f"{bitext_file}*2", "--dictionary", str(dictionary_file)]
    arguments = [*sources, "--output_dir", str(output), *TINY, "--teacher", str(teacher)]
    recipe(arguments)
    alone, student = (load_encoder(path / "encoder")[0].state_dict() for path in (built, output))
    assert {name: tensor.shape for name, tensor in student.items()} == {
        name: tensor.shape for name, tensor in alone.items()
    }
    name = "model.layers.0.mlp.Wo.weight"
    assert not torch.equal(student[name], alone[name])  # it learnt something else
    assert (output / "teacher" / "tokens.npy").is_file()
    with pytest.raises(ConfigError, match=r"the teacher cache .* was made with another prefix"):
        recipe([*arguments, "--teacher_prefix", "query: "])


def test_saving_keeps_the_card_and_replaces_the_rest(built: Path, tmp_path: Path) -> None:
    model, tokenizer = load_encoder(built / "encoder")
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "README.md").write_text("card")
    (folder / "stale.bin").write_text("old")
    save_encoder(model, tokenizer, folder)
    assert (folder / "README.md").read_text() == "card"
    assert not (folder / "stale.bin").exists()
    again, _ = load_encoder(folder)
    texts = ["I like the room.", "我喜欢书。"]
    one, two = (embed_sentences(m.model, tokenizer, texts) for m in (model, again))
    assert (one == two).all()


def test_help_is_instant() -> None:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(RECIPE), "--help"], capture_output=True, text=True, check=True
    )
    assert "--bitext" in done.stdout
    assert "torch" not in done.stderr
    assert time.perf_counter() - started < 5  # imports of torch alone would take as long


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], ConfigError, "--bitext"),
        (["--bitex=a.tsv"], ConfigError, "did you mean"),
        (["--static_start=magic"], ConfigError, "svd, random"),
        (["--bitext", "nowhere.tsv"], ConfigError, "nowhere.tsv"),
        (["--encoder", "./nowhere"], ConfigError, "nothing to train on"),
        (["--teacher", "./nowhere"], ConfigError, "--teacher needs sentence pairs"),
        (["--teacher_pooling", "max"], ConfigError, "takes mean, cls; got 'max'"),
        (["--token_weight=-1"], ConfigError, "--token_weight must be at least 0"),
        (["--contrast_weight=0"], ConfigError, "needs a --teacher"),
    ],
)
def test_what_the_user_forgot_is_named(
    recipe: Callable[[list[str]], None],
    tmp_path: Path,
    arguments: list[str],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        recipe([*arguments, "--output_dir", str(tmp_path / "out"), *TINY])


def test_an_empty_text_and_a_missing_encoder(
    recipe: Callable[[list[str]], None], tmp_path: Path
) -> None:
    text = tmp_path / "empty.txt"
    text.write_text("\n")
    output = ["--output_dir", str(tmp_path / "out"), *TINY]
    with pytest.raises(DataError, match="holds no text"):
        recipe(["--monolingual", str(text), *output])
    text.write_text("I like the room.\n")
    with pytest.raises(ModelLoadError, match="nowhere"):
        recipe(["--monolingual", str(text), "--encoder", str(tmp_path / "nowhere"), *output])
    with pytest.raises(ConfigError, match="--encoder"):
        recipe(["--monolingual", str(text), *output])


def test_weights_are_read_from_the_path(bitext_file: Path) -> None:
    parsed = parse_weighted_paths(f"{bitext_file}*0.5, {bitext_file}")
    assert [weight for _, weight in parsed] == [0.5, 1.0]
    with pytest.raises(ConfigError, match=r"path\[\*weight\]"):
        parse_weighted_paths(f"{bitext_file}*heavy")
