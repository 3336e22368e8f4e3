"""``multi_task``: domains on one head, tasks with heads and folders of their own."""

from __future__ import annotations

import pytest
from transformers import pipeline

from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_results import COSTS, MODEL_FILES
from tests.recipes.test_resume import same_bits

UNCERTAIN = ("--loss_weights=uncertainty", "--sampling_temperature=2")


@pytest.fixture
def tasks(files):
    """Flags of two tasks: the sentiment of the rows, and what they are about."""
    topics = {"room": "room", "房": "room", "bed": "room", "床": "room"}

    def about(text: str) -> str:
        return next((topic for word, topic in topics.items() if word in text), "service")

    paths = {}
    for name in ("en", "zh_test"):
        rows = read_rows(files.folder / f"{name}.jsonl")
        topical = [{"text": row["text"], "label": about(row["text"])} for row in rows]
        paths[name] = write_rows(files.folder / f"topic_{name}.jsonl", topical[:10])
    return (
        f"--source_train=sentiment={files.en},topic={paths['en']}*0.5",
        f"--source_validation=sentiment={files.en},topic={paths['en']}",
        f"--target_test=sentiment={files.zh_test},topic={paths['zh_test']}",
    )


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), UNCERTAIN])
def test_two_tasks_leave_two_folders(run, tasks, tmp_path, flags):
    out = tmp_path / "out"
    run("multi_task", "--separate_heads=true", *tasks, f"--output_dir={out}", *flags)
    for name, labels in (("sentiment", {"negative", "positive"}), ("topic", {"room", "service"})):
        assert {path.name for path in (out / name).iterdir()} >= MODEL_FILES
        results = results_of(out / name)
        assert results["eval_zh_rows"] == {"sentiment": 13, "topic": 10}[name]
        assert {*COSTS, "transfer_gap"} <= results.keys()
        classify = pipeline("text-classification", model=str(out / name), device="cpu")
        rows = read_rows(out / name / "predictions_zh.jsonl")
        for row in rows[:3]:
            answer = classify(row["text"])[0]
            assert answer["label"] in labels
            assert answer["score"] == pytest.approx(max(row["probabilities"].values()), abs=1e-3)


@pytest.mark.slow
def test_domains_of_one_task_share_the_head(run, files, tmp_path):
    out = tmp_path / "out"
    run(
        "multi_task", f"--source_train=hotel={files.en},books={files.en}*0.5", *UNCERTAIN,
        f"--target_test=hotel={files.zh_test},books={files.zh}", f"--output_dir={out}",
    )  # fmt: skip
    results = results_of(out)
    domains = {f"eval_{name}_accuracy" for name in ("en_hotel", "en_books", "zh_hotel", "zh_books")}
    assert domains | {"worst_target", "train_runtime"} <= results.keys()


@pytest.mark.slow
def test_the_guard_chooses_between_plain_and_weighted(run, files, tmp_path, monkeypatch):
    data = (
        f"--source_train=hotel={files.en},books={files.en}*0.5", f"--source_validation={files.en}",
        f"--target_test={files.zh_test}",
    )  # fmt: skip
    run("multi_task", *data, f"--output_dir={tmp_path / 'plain'}")
    run("multi_task", *data, *UNCERTAIN, f"--output_dir={tmp_path / 'weighted'}")
    assert not same_bits(tmp_path / "plain", tmp_path / "weighted")
    asked = {}

    def chosen(teacher, student, **rows):
        asked.update(rows)
        return {"plain": teacher, "weighted": student}[kept]

    monkeypatch.setattr("xlingual.safer_of", chosen)
    for kept in ("plain", "weighted"):
        out = tmp_path / f"keeps-{kept}"
        run("multi_task", *data, *UNCERTAIN, "--guard=true", f"--output_dir={out}")
        assert same_bits(out, tmp_path / kept)
        assert results_of(out)["eval_zh_rows"] == 13
        assert asked["unlabeled"] is None
        assert len(asked["source_validation"]) == 48


@pytest.mark.slow
def test_resumed_is_uninterrupted(run, tasks, tmp_path):
    flags = (
        "--separate_heads=true", *tasks, *UNCERTAIN, "--save_strategy=steps", "--save_steps=1",
    )  # fmt: skip
    run("multi_task", *flags, f"--output_dir={tmp_path / 'a'}")
    checkpoint = tmp_path / "a" / "checkpoint-1"
    run(
        "multi_task", *flags, f"--output_dir={tmp_path / 'b'}",
        f"--resume_from_checkpoint={checkpoint}",
    )  # fmt: skip
    for name in ("sentiment", "topic", "shared"):
        assert same_bits(tmp_path / "a" / name, tmp_path / "b" / name)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--sampling_temperature=0",), "at least 1"),
        (("--loss_weights=equal",), "fixed, uncertainty"),
        (("--guard=true",), "compares with plain fine-tuning"),
        (("--guard=true", "--separate_heads=true", *UNCERTAIN), "and no --separate_heads"),
        (("--separate_heads=true", "--adapter=lora"), "full fine-tuning"),
        (("--separate_heads=true", "--selection=source_dev"), "last or average"),
        (("--separate_heads=true", "--target_test=x={zh}"), "'x' names no task"),
        (("--separate_heads=true", "--source_train={en}"), "two tasks or more"),
    ],
)
def test_wrong_flags_end_in_one_line(run, files, tasks, tmp_path, capsys, flags, message):
    flags = [flag.format(en=files.en, zh=files.zh_test) for flag in flags]
    replaced = {flag.split("=")[0] for flag in flags}
    kept = [flag for flag in tasks if flag.split("=")[0] not in replaced]
    if "--source_train" in replaced:
        kept = []
    with pytest.raises(SystemExit) as ended:
        run("multi_task", *kept, *flags, f"--output_dir={tmp_path / 'out'}")
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_labels_of_another_task_are_refused(run, files, tasks, tmp_path, capsys):
    sentiment = read_rows(files.folder / "zh_test.jsonl")
    path = write_rows(files.folder / "swapped.jsonl", sentiment)
    with pytest.raises(SystemExit):
        run(
            "multi_task", "--separate_heads=true", *tasks[:2],
            f"--target_test=topic={path}", f"--output_dir={tmp_path / 'out'}",
        )  # fmt: skip
    assert "target_test 'topic' has labels that the source does not" in capsys.readouterr().err
