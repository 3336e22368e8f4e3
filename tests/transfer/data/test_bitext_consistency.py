from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from tests.transfer.learners import RuleLearner
from xlingual import get_task
from xlingual.errors import ConfigError, DataError
from xlingual.transfer.data.bitext_consistency import label_bitext

TEACHER = RuleLearner(lambda text: 0.9 if "clean" in text else 0.05 if "dirty" in text else 0.5)
PAIRS = [
    ("The room was clean.", "房间很干净。"),
    ("A clean kitchen.", "厨房很干净。"),
    ("He went home.", "他回家了。"),
    ("The floor is dirty.", "地板很髒。"),
]


def bitext(pairs=PAIRS) -> Dataset:
    english, chinese = zip(*pairs, strict=True)
    return Dataset.from_dict({"source_text": english, "target_text": chinese})


def test_the_target_side_gets_what_the_source_side_says():
    rows = label_bitext(TEACHER, bitext(), balance=False)
    assert rows["text"][:] == ["房间很干净。", "厨房很干净。", "地板很髒。"]
    assert [round(row["positive"], 2) for row in rows["soft_labels"]] == [0.9, 0.9, 0.05]


def test_classes_in_equal_parts_and_the_same_sample_for_a_seed():
    pairs = [PAIRS[0], PAIRS[1]] * 20 + [PAIRS[3]] * 10
    many = [(f"{en} {i}", f"{zh}{i}") for i, (en, zh) in enumerate(pairs)]
    rows = label_bitext(TEACHER, bitext(many), num_rows=16, seed=3)
    positive = np.array([row["positive"] for row in rows["soft_labels"]])
    assert (positive > 0.5).sum() == 8
    assert len(rows) == 16
    assert rows["text"][:] == label_bitext(TEACHER, bitext(many), num_rows=16, seed=3)["text"][:]
    assert rows["text"][:] != label_bitext(TEACHER, bitext(many), num_rows=16, seed=4)["text"][:]


def test_nothing_to_learn_from():
    with pytest.raises(DataError, match="of no pair of the bitext"):
        label_bitext(TEACHER, bitext(), confidence_threshold=0.99)
    with pytest.raises(DataError, match="target_text"):
        label_bitext(TEACHER, Dataset.from_dict({"source_text": ["clean"]}))


def test_a_teacher_that_reads_pairs_is_refused():
    teacher = RuleLearner(TEACHER.rule)
    teacher.task = get_task("pair")
    with pytest.raises(ConfigError, match="labels single sentences"):
        label_bitext(teacher, bitext())
