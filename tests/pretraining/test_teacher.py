"""The teacher's outputs: right, resumable, and never those of another teacher or text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tests.pretraining.conftest import PAIRS
from tests.pretraining.teachers import save_teacher
from xlingual.errors import ConfigError, ModelLoadError, OutputError
from xlingual.pretraining import (
    Bitext,
    Teacher,
    TeacherTargets,
    cached_outputs,
    distinct_sentences,
    encode_bitexts,
)
from xlingual.pretraining.corpus import Sentences

BITEXT = Bitext("pairs", [en for en, _ in PAIRS[:40]], [zh for _, zh in PAIRS[:40]])
SETTINGS = {"token_budget": 60, "save_every": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    return distinct_sentences([BITEXT])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_cache_holds_what_the_teacher_says(
    folder: Path, sentences: Sentences, tmp_path: Path, pooling: str
) -> None:
    teacher = Teacher(folder, prefix="query: ", pooling=pooling)
    outputs = cached_outputs(teacher, sentences, tmp_path / "cache", **SETTINGS)
    starts = np.cumsum(outputs.lengths) - outputs.lengths
    for row in (0, 7, sentences.num_english, len(sentences.texts) - 1):
        text = sentences.texts[row]
        encoded = teacher.tokenizer(f"query: {text}", return_tensors="pt")
        hidden = teacher.model(**encoded).last_hidden_state[0]
        vector = hidden.mean(0) if pooling == "mean" else hidden[0]
        np.testing.assert_allclose(outputs.pooled[row], vector / vector.norm(), atol=2e-3)
        mine = slice(starts[row], starts[row] + outputs.lengths[row])
        content = hidden[3:-1]  # without [CLS] query : and [SEP]
        np.testing.assert_allclose(outputs.tokens[mine], content, rtol=2e-3, atol=2e-3)
        words = [text[start:end] for start, end in outputs.spans[mine]]
        assert words == teacher.tokenizer.tokenize(text)


def test_a_killed_pass_goes_on_to_the_same_bits(
    folder: Path, sentences: Sentences, tmp_path: Path
) -> None:
    teacher = Teacher(folder)
    cached_outputs(teacher, sentences, tmp_path / "whole", **SETTINGS)
    cached_outputs(teacher, sentences, tmp_path / "killed", stop_after=5, **SETTINGS)
    progress = json.loads((tmp_path / "killed" / "progress.json").read_text())
    assert not progress["is_complete"]
    assert 0 < progress["done"] < len(sentences.texts)
    asked: list[int] = []
    encode = teacher.encode
    teacher.encode = lambda ids, mask: asked.append(len(ids)) or encode(ids, mask)  # type: ignore[assignment]
    cached_outputs(teacher, sentences, tmp_path / "killed", **SETTINGS)
    assert sum(asked) == len(sentences.texts) - progress["done"]
    for name in ("pooled.npy", "tokens.npy", "spans.npy"):
        whole, killed = ((tmp_path / run / name).read_bytes() for run in ("whole", "killed"))
        assert whole == killed


def test_a_killed_pass_may_go_on_with_other_batches(
    folder: Path, sentences: Sentences, tmp_path: Path
) -> None:
    teacher = Teacher(folder)
    whole = cached_outputs(teacher, sentences, tmp_path / "whole", **SETTINGS)
    cached_outputs(teacher, sentences, tmp_path / "killed", stop_after=5, **SETTINGS)
    resumed = cached_outputs(teacher, sentences, tmp_path / "killed", token_budget=200)
    np.testing.assert_allclose(resumed.pooled, whole.pooled, atol=2e-3)


def test_a_finished_cache_asks_the_teacher_nothing(
    folder: Path, sentences: Sentences, tmp_path: Path
) -> None:
    teacher = Teacher(folder)
    first = cached_outputs(teacher, sentences, tmp_path, **SETTINGS)
    teacher.encode = None  # type: ignore[assignment]
    again = cached_outputs(teacher, sentences, tmp_path, **SETTINGS)
    np.testing.assert_array_equal(first.pooled, again.pooled)


def _other_teacher(folder: Path, tmp_path: Path) -> Teacher:
    return Teacher(save_teacher(tmp_path / "other", seed=1))


def _other_tokenizer(folder: Path, tmp_path: Path) -> Teacher:
    shutil.copytree(folder, tmp_path / "other")
    path = tmp_path / "other" / "tokenizer.json"
    state = json.loads(path.read_text("utf-8"))
    state["model"]["vocab"]["[spare]"] = 1000
    path.write_text(json.dumps(state), encoding="utf-8")
    return Teacher(tmp_path / "other")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_other_teacher, "another teacher;"),
        (_other_tokenizer, "another tokenizer of the teacher;"),
        (lambda folder, _: Teacher(folder, prefix="query: "), "another prefix;"),
        (lambda folder, _: Teacher(folder, pooling="cls"), "another pooling;"),
        (lambda folder, _: Teacher(folder, max_length=9), "another length;"),
    ],
)
def test_outputs_of_another_teacher_are_refused(
    folder: Path,
    sentences: Sentences,
    tmp_path: Path,
    make: Callable[[Path, Path], Teacher],
    message: str,
) -> None:
    cached_outputs(Teacher(folder), sentences, tmp_path / "cache")
    with pytest.raises(ConfigError, match=f"made with {message} name another folder"):
        cached_outputs(make(folder, tmp_path), sentences, tmp_path / "cache")


def test_outputs_for_other_text_are_refused(
    folder: Path, sentences: Sentences, tmp_path: Path
) -> None:
    cached_outputs(Teacher(folder), sentences, tmp_path, keeps_tokens=False)
    other = replace(sentences, texts=[*sentences.texts[:-1], "我们买书。"])
    with pytest.raises(ConfigError, match="made with other text"):
        cached_outputs(Teacher(folder), other, tmp_path, keeps_tokens=False)
    with pytest.raises(ConfigError, match=r"other targets \(with or without those of tokens\)"):
        cached_outputs(Teacher(folder), sentences, tmp_path)


def test_a_cache_that_cannot_be_written(folder: Path, sentences: Sentences, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="--teacher_cache"):
        cached_outputs(Teacher(folder), sentences, tmp_path / "file" / "cache")


def test_a_teacher_that_does_not_read_chinese(sentences: Sentences, tmp_path: Path) -> None:
    teacher = Teacher(save_teacher(tmp_path / "english", reads_chinese=False))
    with pytest.raises(ConfigError, match=r"does not read Chinese: \d+% of the tokens"):
        cached_outputs(teacher, sentences, tmp_path / "cache")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"cannot load the teacher .*config\.json"):
        Teacher(tmp_path)


def test_the_folder_says_how_it_is_read(folder: Path, tmp_path: Path) -> None:
    assert (Teacher(folder).prefix, Teacher(folder).pooling) == ("", "mean")
    said = tmp_path / "said"
    shutil.copytree(folder, said)
    (said / "1_Pooling").mkdir()
    (said / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (said / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    assert (Teacher(said).prefix, Teacher(said).pooling) == ("query: ", "cls")
    assert (Teacher(said, prefix="", pooling="mean").prefix) == ""
    with pytest.raises(ConfigError, match="mean or cls"):
        Teacher(folder, pooling="max")


def test_targets_are_without_the_mean_of_their_language(
    folder: Path, sentences: Sentences, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    outputs = cached_outputs(Teacher(folder), sentences, tmp_path)
    corpus = encode_bitexts([BITEXT], tokenizer, with_spans=True)
    targets = TeacherTargets(outputs, sentences, corpus)
    chinese = sentences.num_english + 3
    batch = targets(np.array([2, chinese]))
    for number, (row, part) in enumerate(
        [(2, slice(sentences.num_english)), (chinese, slice(sentences.num_english, None))]
    ):
        pooled = outputs.pooled.astype(np.float32)
        vector = pooled[row] - pooled[part].mean(0)
        expected = vector / np.linalg.norm(vector)
        np.testing.assert_allclose(batch["teacher_pooled"][number], expected, atol=1e-3)
    lengths = corpus.tokens.lengths[[2, chinese]]
    assert batch["student_chunks"].shape == (2, lengths.max())
    assert batch["teacher_tokens"].shape == (2, *batch["teacher_chunks"].shape[1:], 24)
    # Every chunk of the student is one of the teacher.
    for student, teacher in zip(batch["student_chunks"], batch["teacher_chunks"], strict=True):
        assert set(student.tolist()) - {-1} == set(teacher.tolist()) - {-1} != set()
    assert torch.isfinite(batch["teacher_tokens"]).all()
