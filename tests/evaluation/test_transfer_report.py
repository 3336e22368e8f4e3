"""The results of a run: by set, summarised, and as an aligned table."""

from __future__ import annotations

import re
from unicodedata import east_asian_width

import numpy as np
import pytest

from xlingual import LabelPredictions, LabelSpace, TransferReport, get_task
from xlingual.evaluation import (
    SetScores,
    apply_calibration,
    estimate_accuracy,
    fit_calibration_temperature,
    score_set,
)
from xlingual.tasks import IGNORE_INDEX

SPACE = LabelSpace(("差评", "中性评价", "好"))
SEQUENCE = get_task("sequence")


def output(references: list, predictions: list, *, num_labels: int = 3) -> LabelPredictions:
    one_hot = np.eye(num_labels)[np.array(predictions)] if np.ndim(predictions) == 1 else None
    probs = one_hot if one_hot is not None else np.array(predictions, float)
    return LabelPredictions(np.array(references), np.array(predictions), probs)


def scored(name: str, references: list, predictions: list) -> SetScores:
    return score_set(name, output(references, predictions), task=SEQUENCE, label_space=SPACE)


def report(
    *, source: list[SetScores] | None = None, targets: list[SetScores] | None = None, **options
) -> TransferReport:
    default = [scored("en", [0, 0, 1, 2] * 5, [0, 0, 1, 2] * 5)]
    return TransferReport(
        task=SEQUENCE,
        label_space=SPACE,
        source=default if source is None else source,
        targets=[scored("zh", [0, 0, 1, 2, 2], [0, 2, 1, 2, 0])] if targets is None else targets,
        **{"selection": "last", **options},
    )


def width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def test_scores_of_a_set() -> None:
    scores = scored("zh", [0, 0, 1, 2, IGNORE_INDEX], [0, 1, 1, 2, 2])
    assert scores.num_rows == 4
    assert scores.scores["accuracy"].value == 0.75
    assert scores.majority["majority_accuracy"] == 0.5
    assert scores.confusion is not None
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert len(scores.output.predictions) == 5, "predictions of unlabelled rows are kept"


def test_scores_of_several_labels_a_row() -> None:
    references = [[1, 0, 1], [0, 0, 0], [-100, -100, -100]]
    predictions = [[1, 0, 0], [0, 0, 0], [1, 1, 1]]
    scores = score_set(
        "zh", output(references, predictions), task=get_task("multi_label"), label_space=SPACE
    )
    assert scores.num_rows == 2
    assert scores.confusion is None
    assert scores.scores["accuracy"].value == 0.5
    assert scores.scores["f1_差评"].value == 1.0
    assert scores.scores["recall_好"].value == 0.0


def test_the_keys_of_the_results() -> None:
    results = report(costs={"train_runtime": 3.5, "train_samples_per_second": 12.0}).results()
    for language in ("en", "zh"):
        for name in ("accuracy", "macro_f1", "f1_差评", "precision_中性评价", "recall_好"):
            low, value, high = (
                results[f"eval_{language}_{name}{end}"] for end in ("_low", "", "_high")
            )
            assert 0 <= low <= high <= 1
            assert 0 <= value <= 1
        assert f"eval_{language}_majority_accuracy" in results
        assert f"eval_{language}_majority_macro_f1" in results
    assert results["eval_en_accuracy"] == 1.0
    assert results["eval_zh_accuracy"] == 0.6
    assert results["eval_zh_majority_accuracy"] == 0.4
    assert (results["eval_en_rows"], results["eval_zh_rows"]) == (20, 5)
    assert results["eval_zh_confusion_matrix"] == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert results["target_mean"] == 0.6
    assert results["transfer_gap"] == pytest.approx(0.4)
    assert results["transfer_gap_low"] < 0.4 < results["transfer_gap_high"]
    assert results["worst_target"] == "zh"
    assert results["label_names"] == ["差评", "中性评价", "好"]
    assert results["selection"] == "last"
    assert (results["train_runtime"], results["train_samples_per_second"]) == (3.5, 12.0)


def test_several_sources_are_pooled_and_targets_are_averaged() -> None:
    together = report(
        source=[scored("en_a", [0, 1, 2], [0, 1, 2]), scored("en_b", [0], [1])],
        targets=[scored("zh_酒店", [0, 1], [0, 1]), scored("zh_books", [0, 1, 1, 2], [1, 1, 0, 0])],
    )
    results = together.results()
    assert results["target_mean"] == pytest.approx((1.0 + 0.25) / 2)
    assert results["transfer_gap"] == pytest.approx(3 / 4 - 0.625), "by rows: 3 of 4 are right"
    assert results["worst_target"] == "zh_books"
    assert results["eval_zh_酒店_accuracy"] == 1.0
    assert [scores.name for scores in together.sets] == ["en_a", "en_b", "zh_酒店", "zh_books"]
    table = together.table()
    assert re.search(r"^worst target: zh_books 25\.0 \[", table, flags=re.M)


@pytest.mark.parametrize("missing", ["source", "targets"])
def test_one_side_alone_has_no_gap(missing: str) -> None:
    alone = report(**{missing: []})
    assert alone.summary is None
    assert "transfer_gap" not in alone.results()
    assert "transfer gap" not in alone.table()
    there = "zh" if missing == "source" else "en"
    assert f"eval_{there}_accuracy" in alone.results()


def test_an_oracle_is_called_one() -> None:
    assert "weights kept: last\n" in report().table() + "\n"
    assert "ORACLE" not in report(selection="source_dev").table()
    assert (
        "target_dev (an ORACLE: target labels chose the weights)"
        in report(selection="target_dev").table()
    )
    assert report(selection="target_dev").results()["selection"] == "target_dev"


def test_the_table_shows_what_matters() -> None:
    table = report(costs={"train_runtime": 12.34, "parameters": 7_654_321}).table()
    lines = table.splitlines()
    zh = next(line for line in lines if line.startswith("zh  "))
    assert zh.split()[:3] == ["zh", "5", "40.0"]
    assert re.search(r"60\.0 \[\d+\.\d, \d+\.\d\]", zh)
    assert any(re.match(r"transfer gap \(accuracy.*\): \+40\.0 \[", line) for line in lines)
    assert any("7,654,321" in line for line in lines)
    assert lines[-1] == "[low, high]: 95% bootstrap interval over the rows, in percent"


def test_columns_line_up_with_chinese_names() -> None:
    targets = [
        scored("zh_酒店", [0, 0, 1, 2, 2], [0, 2, 1, 2, 0]),
        scored("zh_b", [0, 1, 2], [0, 1, 2]),
    ]
    lines = report(targets=targets).table().splitlines()

    def column_starts(block: list[str]) -> list[list[int]]:
        """Display positions at which a cell begins, after two spaces or more."""
        return [
            [width(line[: match.start()]) for match in re.finditer(r"(?<=  )\S", line)]
            for line in block
        ]

    first = next(i for i, line in enumerate(lines) if line.startswith("set "))
    sets = column_starts(lines[first : first + 4])
    assert len(sets[0]) == 4
    assert sets == [sets[0]] * 4

    first = next(i for i, line in enumerate(lines) if line.startswith("zh_酒店, per class"))
    classes = column_starts(lines[first : first + 4])
    assert len(classes[0]) == 4
    assert all(row[:3] == classes[0][:3] for row in classes), "precision, recall, F1"
    counts = {tuple(row[3:]) for row in classes[1:]}
    assert len(counts) == 1, "and the numbers of the confusion matrix"
    assert [line.split()[0] for line in lines[first + 1 : first + 4]] == list(SPACE.names)


def test_the_confusion_matrix_in_the_table_is_in_the_order_of_the_labels() -> None:
    lines = report().table().splitlines()
    first = next(i for i, line in enumerate(lines) if "per class" in line)
    assert lines[first].endswith("predicted as: 差评, 中性评价, 好")
    counts = [[int(cell) for cell in line.split()[-3:]] for line in lines[first + 1 : first + 4]]
    assert counts == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_a_confusion_matrix_too_wide_for_a_terminal_stands_below() -> None:
    space = LabelSpace(("体育", "财经", "科技", "文化", "教育", "汽车", "房产", "游戏与动漫"))
    ids = list(range(8)) * 3
    scores = score_set("zh", output(ids, ids, num_labels=8), task=SEQUENCE, label_space=space)
    wide = TransferReport(
        task=SEQUENCE, label_space=space, source=[], targets=[scores], selection="last"
    )
    lines = wide.table().splitlines()
    assert max(map(width, lines)) <= 80
    first = next(i for i, line in enumerate(lines) if line.startswith("zh, predicted as"))
    rows = [line.split() for line in lines[first + 1 :] if line.startswith(space.names)]
    assert [row[0] for row in rows] == list(space.names)
    assert [int(row[1 + number]) for number, row in enumerate(rows)] == [3] * 8


def test_the_text_can_be_piped() -> None:
    target = scored("zh_" + "很长的名字" * 9, [0, 0, 1, 2, 2], [0, 2, 1, 2, 0])
    notes = ["[bold]不是标记[/bold] :smile: " + "这一句话没有空格" * 12]
    table = report(targets=[target], notes=notes).table()
    assert "\x1b" not in table
    assert max(map(width, table.splitlines())) <= 80
    assert "[bold]不是标记[/bold] :smile:" in table


def test_many_classes_are_left_to_the_file() -> None:
    space = LabelSpace(tuple(f"类{number}" for number in range(13)))
    ids = list(range(13))
    scores = score_set("zh", output(ids, ids, num_labels=13), task=SEQUENCE, label_space=space)
    many = TransferReport(
        task=SEQUENCE, label_space=space, source=[], targets=[scores], selection="last"
    )
    assert "per class" not in many.table()
    assert many.results()["eval_zh_f1_类12"] == 1.0


def unsure(rows: int, seed: int) -> LabelPredictions:
    """Random probabilities; the labels are mostly the likeliest ones."""
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet([0.6] * 3, rows)
    labels = np.array([generator.choice(3, p=row) for row in probs])
    return LabelPredictions(labels, probs.argmax(axis=1), probs)


def estimated(source: LabelPredictions, **unlabeled: LabelPredictions) -> TransferReport:
    scores = score_set("en", source, task=SEQUENCE, label_space=SPACE)
    return report(source=[scores], targets=[]).with_estimates(unlabeled)


def test_an_estimate_without_target_labels() -> None:
    source, target = unsure(200, 0), unsure(90, 1)
    blind = target._replace(references=np.full(90, IGNORE_INDEX))
    done = estimated(source, zh_酒店=blind)
    temperature = round(fit_calibration_temperature(source.probs, source.references), 4)
    expected = estimate_accuracy(
        apply_calibration(source.probs, temperature),
        source.references,
        apply_calibration(target.probs, temperature),
    ).accuracy
    results = done.results()
    found = [results[f"estimated_zh_酒店_accuracy{end}"] for end in ("", "_low", "_high")]
    assert found == list(expected)
    line = " ".join(done.table().split())
    value, low, high = (100 * bound for bound in expected)
    assert f"zh_酒店 accuracy (no label read): {value:.1f} [{low:.1f}, {high:.1f}]" in line
    assert "rough guide: such estimates were off by 5 to 10 points" in line
    assert estimated(source, zh_酒店=target).estimates == done.estimates


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "it needs 20 labelled rows of --source_validation; there are 0"),
        ([scored("en", [0, 1, 2], [0, 1, 2])], "there are 3"),
    ],
)
def test_no_estimate_without_source_rows(source: list[SetScores], words: str) -> None:
    done = report(source=source).with_estimates({"zh": unsure(30, 0)})
    assert not any(key.startswith("estimated") for key in done.results())
    said = " ".join(done.table().split())
    assert "no estimate of the target accuracy: it needs 20" in said
    assert words in said


def test_no_estimate_for_several_labels_a_row() -> None:
    task = get_task("multi_label")
    rows = LabelPredictions(*[np.eye(3, dtype=int)[[0, 1, 2] * 10]] * 2, np.eye(3)[[0, 1, 2] * 10])
    scores = score_set("en", rows, task=task, label_space=SPACE)
    several = TransferReport(
        task=task, label_space=SPACE, source=[scores], targets=[], selection="last", notes=["先前"]
    ).with_estimates({"zh": rows})
    assert several.estimates == {}
    assert several.notes[0] == "先前"
    assert "for one label a row" in several.notes[1]
