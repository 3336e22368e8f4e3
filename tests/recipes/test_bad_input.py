"""A user's mistake ends in one helpful line and exit code 2, and nothing is overwritten."""

from __future__ import annotations

import json

import pytest
from transformers import T5Config

from tests.recipes.commands import read_rows, results_of, write_rows


@pytest.fixture
def refused(run, tmp_path, capsys):
    """Run a recipe that must be refused; returns its one line of error."""

    def start(recipe: str, *flags: str, out: str | None = None) -> str:
        out = out or f"{tmp_path}/out"
        with pytest.raises(SystemExit) as stopped:
            run(recipe, f"--output_dir={out}", *flags)
        assert stopped.value.code == 2
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        lines = [line for line in said.err.splitlines() if line.startswith("error:")]
        assert len(lines) == 1
        assert said.err.endswith(lines[0] + "\n"), "the error stands last, in one line"
        assert not said.out
        return lines[0]

    return start


def left_behind(tmp_path) -> set[str]:
    out = tmp_path / "out"
    return {path.name for path in out.rglob("*")} if out.exists() else set()


def test_a_missing_column(refused, files, tmp_path):
    path = write_rows(files.folder / "tekst.jsonl", [{"tekst": "quiet", "label": "positive"}])
    error = refused("zero_shot", f"--source_train={path}", f"--target_test={files.zh_test}")
    assert all(words in error for words in ("tekst.jsonl", "'tekst', 'label'", "--text_column"))
    assert not left_behind(tmp_path)


def test_a_misspelt_column(refused, files, tmp_path):
    flags = files.flags("source_train", "target_test")
    error = refused("zero_shot", *flags, "--text_column=texd")
    assert all(words in error for words in ("'texd'", "--text_column", "did you mean 'text'?"))
    assert not left_behind(tmp_path)


def test_an_unknown_label(refused, files, tmp_path):
    rows = [*read_rows(files.folder / "zh.jsonl"), {"text": "房间一般", "label": "positiv"}]
    path = write_rows(files.folder / "unknown.jsonl", rows)
    error = refused("zero_shot", *files.flags("source_train"), f"--target_test={path}")
    assert all(w in error for w in ("'unknown'", "positiv;", "negative, positive", "--label_map"))
    assert not left_behind(tmp_path)


@pytest.mark.parametrize("recipe", ["zero_shot", "joint", "few_shot"])
def test_a_label_space_that_differs(refused, files, tmp_path, recipe):
    flags = [*files.flags("source_train"), f"--target_train={files.zh_other}"]
    error = refused(recipe, *flags, f"--target_test={files.zh_other}")
    assert all(words in error for words in ("好评, 差评", "negative, positive", "--label_map"))
    assert not left_behind(tmp_path)


@pytest.mark.parametrize("content", ["", "\n \n", "text,label\n", '[{"text": '])
def test_a_file_without_rows(refused, files, tmp_path, content):
    path = files.folder / "broken.csv" if "," in content else files.folder / "broken.json"
    path.write_text(content)
    error = refused("zero_shot", f"--source_train={path}", f"--target_test={files.zh_test}")
    assert path.name in error
    assert not left_behind(tmp_path)


def test_a_file_that_is_not_there(refused, files, tmp_path):
    missing = files.en.replace("en.jsonl", "enn.jsonl")
    error = refused("zero_shot", f"--source_train={missing}")
    assert "does not exist" in error
    assert f"did you mean {files.en}?" in error
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_rows_with_empty_text_are_counted_and_listed(run, files, tmp_path, capsys):
    rows = read_rows(files.folder / "en.jsonl")
    rows[3:3] = [{"text": " \u200b", "label": "positive"}, {"text": None, "label": "negative"}]
    path = write_rows(files.folder / "holes.jsonl", rows)
    out = tmp_path / "out"
    run("zero_shot", f"--output_dir={out}", f"--source_train={path}", *files.flags("target_test"))
    said = capsys.readouterr().err
    assert (
        "holes.jsonl: rejected 2 of 50 rows (1 x empty text, 1 x no text; first at line 4)" in said
    )
    assert f"{out}/rejected_rows.jsonl" in said
    rejected = read_rows(out / "rejected_rows.jsonl")
    assert [(row["row"], row["reason"]) for row in rejected] == [(4, "empty text"), (5, "no text")]
    assert results_of(out)["eval_zh_rows"] == 13


def test_no_row_has_text(refused, files, tmp_path):
    path = write_rows(files.folder / "blank.jsonl", [{"text": " ", "label": "positive"}] * 3)
    error = refused("zero_shot", f"--source_train={path}")
    assert "none of its 3 rows can be used (3 x empty text" in error
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_a_run_refused_after_rows_were_rejected_can_be_started_again(refused, run, files, tmp_path):
    rows = [*read_rows(files.folder / "en.jsonl"), {"text": "", "label": "positive"}]
    source = f"--source_train={write_rows(files.folder / 'hole.jsonl', rows)}"
    refused("zero_shot", source, f"--target_test={files.zh_other}")
    run("zero_shot", f"--output_dir={tmp_path}/out", source, f"--target_test={files.zh_test}")
    assert len(read_rows(tmp_path / "out" / "rejected_rows.jsonl")) == 1


@pytest.mark.parametrize(
    ("recipe", "role"),
    [
        ("zero_shot", "source_train"),
        ("zero_shot", "target_test"),
        ("few_shot", "target_train"),
        ("joint", "target_train"),
    ],
)
def test_a_file_without_labels_where_they_are_needed(refused, files, tmp_path, recipe, role):
    rows = [{"text": row["text"]} for row in read_rows(files.folder / "zh.jsonl")]
    path = write_rows(files.folder / "unlabelled.jsonl", rows)
    roles = [r for r in ("source_train", "target_train", "target_test") if r != role]
    error = refused(recipe, *files.flags(*roles), f"--{role}={path}")
    assert all(words in error for words in ("unlabelled.jsonl", "label", "'text'"))
    assert not left_behind(tmp_path)


def test_a_target_file_with_a_label_column_that_is_blank(refused, files, tmp_path):
    rows = [{**row, "label": None} for row in read_rows(files.folder / "zh.jsonl")]
    path = write_rows(files.folder / "blank.jsonl", rows)
    error = refused("joint", *files.flags("source_train"), f"--target_train={path}")
    assert all(words in error for words in ("blank.jsonl", "12 x no label", "labels are required"))
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--freeze_encoder", "--adapter=lora"], ["--freeze_encoder", "--adapter"]),
        (["--adapter=lroa"], ["none, lora, dora, ia3", "'lroa'"]),
        (["--early_stopping_patience=2"], ["--early_stopping_patience", "--selection"]),
        (["--selection=source_dev", "--save_strategy=no"], ["source_dev", "save_strategy"]),
        (["--target_share=1.5"], ["--target_share", "between 0 and 1", "1.5"]),
        (["--target_share=0.5"], ["target_share", "one domain", "--target_train"]),
        (["--task=seqence"], ["'seqence'", "did you mean 'sequence'?"]),
        (["--sorce_train=x", "--max_len=3"], ["did you mean 'source_train'?", "'max_length'"]),
        (["--learning_rate=fast"], ["--learning_rate", "'fast'"]),
        (["--learning_rate"], ["--learning_rate", "expected one argument"]),
        (["words"], ["--flag value", "words"]),
        (["--class_weights=negativ=2"], ["'negativ'", "did you mean 'negative'?"]),
        (["--label_map=1:positive"], ["--label_map", "'1:positive'"]),
        (["--config=nowhere.yaml"], ["--config nowhere.yaml", "No such file"]),
        (["--resume_from_checkpoint=nowhere"], ["nowhere", "checkpoint-N"]),
        (["--target_test=a.jsonl"], ["--source_train", "--target_test"]),
        (["--max_train_rows=0"], ["--max_train_rows", "at least 1"]),
        (["--bf16", "--fp16"], ["--bf16", "--fp16", "keep one"]),
        (["--bf16"], ["--precision", "--bf16", "keep one"]),  # `run` asks for float32
        (["--max_steps=-1", "--num_train_epochs=-1"], ["--num_train_epochs", "above 0"]),
    ],
)
def test_conflicting_and_misspelt_flags(refused, tmp_path, flags, words):
    error = refused("zero_shot", *flags)
    assert all(word in error for word in words), error
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--regime=seqential"], ["joint, sequential", "'seqential'"]),
        (["--shots_per_label=0"], ["shots_per_label", "at least 1", "0"]),
        (["--shots_per_label=many"], ["--shots_per_label", "'many'"]),
    ],
)
def test_few_shot_flags_are_checked_before_anything_is_trained(refused, tmp_path, flags, words):
    error = refused("few_shot", *flags)
    assert all(word in error for word in words), error
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("epochs: 3\nsource_trian: x\n", ["'num_train_epochs'", "'source_train'"]),
        ("seed: 1.5\n", ["--seed", "1.5"]),
        ("freeze_encoder: perhaps\n", ["--freeze_encoder", "perhaps"]),
        ("task: [sequence, pair]\n", ["unknown task", "'sequence,pair'"]),
        ("- zero_shot\n", ["key: value", "list"]),
        ("a: b: c\n", ["not YAML"]),
    ],
)
def test_a_config_file_that_is_wrong(refused, tmp_path, content, words):
    path = tmp_path / "run.yaml"
    path.write_text(content)
    error = refused("zero_shot", f"--config={path}")
    assert all(word in error for word in words), error
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_values_of_a_config_file_are_read_as_flags_are(run, files, tmp_path):
    """YAML takes ``1e-3`` for a string, ``no`` for false and ``null`` for a value."""
    path, out = tmp_path / "run.yaml", tmp_path / "out"
    path.write_text(
        f"source_train: [{files.en}, books={files.en}]\ntarget_test: {files.zh_test}\n"
        "learning_rate: 1e-3\nsave_strategy: no\ntask: null\nadapter: \n"
    )
    run("zero_shot", f"--config={path}", f"--output_dir={out}")
    assert set(results_of(out)) >= {"eval_en_en_accuracy", "eval_en_books_accuracy"}
    assert not list(out.glob("checkpoint-*"))


@pytest.mark.slow
def test_more_shots_than_a_class_has_are_all_used_with_a_warning(run, files, tmp_path, capsys):
    flags = files.flags("source_train", "target_train", "target_test")
    run("few_shot", f"--output_dir={tmp_path}/out", *flags, "--shots_per_label=50")
    said = capsys.readouterr().err
    assert "'negative' has 6 target rows, fewer than the 50 shots asked for; all are used" in said


def test_an_output_folder_that_holds_files(refused, files, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "all_results.json").write_text("of another run")
    for recipe in ("zero_shot", "joint", "few_shot"):
        error = refused(recipe, *files.flags("source_train", "target_train", "target_test"))
        assert all(words in error for words in ("is not empty", "--overwrite_output"))
    assert left_behind(tmp_path) == {"all_results.json"}
    assert (tmp_path / "out" / "all_results.json").read_text() == "of another run"


def test_an_output_folder_that_cannot_be_made(refused, tmp_path):
    (tmp_path / "file").write_text("kept")
    assert "is a file" in refused("zero_shot", out=f"{tmp_path}/file")
    assert "cannot be created" in refused("zero_shot", out=f"{tmp_path}/file/below")
    assert (tmp_path / "file").read_text() == "kept"


def test_an_output_folder_that_cannot_be_written(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    assert "cannot be written" in refused("zero_shot")


def test_a_hub_model_without_a_network(refused, tmp_path):
    error = refused("zero_shot", "--model_name_or_path=nobody/nothing")
    assert all(words in error for words in ("'nobody/nothing'", "HF_HUB_OFFLINE", "HF_ENDPOINT"))
    assert not left_behind(tmp_path)


def test_hub_data_without_a_network(refused, tmp_path):
    error = refused("zero_shot", "--source_train=nobody/nothing:zh@train")
    assert all(words in error for words in ("nobody/nothing", "HF_HUB_OFFLINE", "HF_ENDPOINT"))
    assert not left_behind(tmp_path)


def test_a_folder_without_a_model(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    error = refused("zero_shot", f"--model_name_or_path={tmp_path / 'empty'}")
    assert all(words in error for words in ("holds no model", "model.safetensors"))


def test_the_embedded_corpus_is_for_sequences(refused):
    assert "--source_train" in refused("zero_shot", "--task=pair")


def test_an_unknown_recipe(capsys):
    from xlingual import cli

    with pytest.raises(SystemExit) as stopped:
        cli.main(["zero_shoot"])
    assert stopped.value.code == 2
    assert "zero_shot" in capsys.readouterr().err


def write_unusual(folder, kind: str) -> str:
    """A target test file as others store theirs; its path, or the argument that names it."""
    path = folder / f"unusual.{kind.split('-')[0]}"
    if kind == "tsv":
        path.write_text("房间太吵，睡不好\tnegative\n早餐很丰富\tpositive\n很吵\tnegative\n")
    elif kind == "csv":
        path.write_bytes("text,label\n好,positive\n".encode("gbk"))
    elif kind == "xls":
        path.write_bytes(b"\xd0\xcf\x11\xe0")
    elif kind == "json":
        rows = [{"text": "位置方便", "label": "positive"}]
        path.write_text(json.dumps({"train": rows, "test": rows}))
    elif kind == "jsonl-stars":
        write_rows(path, [{"内容": "还可以", "评分": f"{stars}星"} for stars in range(1, 6)])
    elif kind == "jsonl-classes":
        write_rows(
            path, [{"text": f"第{n}条", "label": name} for n, name in enumerate(("差评", "好评"))]
        )
    else:
        write_rows(path, [{"text": "干净，也不贵", "service": 0, "clean": 1, "price": 1}])
    return str(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tsv", ["seems to have no header", "--columns text,label"]),
        ("csv", ["encoding is unclear", "--encoding big5"]),
        ("xls", ["save it as .xlsx"]),
        ("json", ["several places (train, test)", "unusual.json#train"]),
        ("jsonl-stars", ["1星, 2星", '--label_bins "negative<=2,positive>=4"']),
        ("jsonl-classes", ['--label_map "好评=positive,差评=negative"']),
        ("jsonl-flags", ["--task multi_label --label_columns service,clean,price"]),
    ],
)
def test_data_as_others_store_it(refused, files, tmp_path, kind, words):
    target = write_unusual(files.folder, kind)
    error = refused("zero_shot", *files.flags("source_train"), f"--target_test={target}")
    assert all(word in error for word in words), error
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--encoding=big-5x"], ["--encoding", "'big-5x'", "gb18030"]),
        (["--label_bins=negative<=3,positive>=3"], ["--label_bins", "overlap"]),
        (["--label_columns=a,b"], ["--label_columns", "--task multi_label"]),
    ],
)
def test_flags_about_the_data_that_are_wrong(refused, files, tmp_path, flags, words):
    error = refused("zero_shot", *files.flags("source_train", "target_test"), *flags)
    assert all(word in error for word in words), error
    assert not left_behind(tmp_path)


@pytest.mark.slow
def test_a_file_without_a_header_is_read_with_the_flag(run, files, tmp_path):
    rows = read_rows(files.folder / "zh.jsonl")
    path = tmp_path / "hotel.tsv"
    lines = [f"{row['text']}\t{row['label']}\n" for row in rows]
    path.write_bytes("".join(lines).encode("gb18030"))
    flags = [*files.flags("source_train"), f"--target_test={path}", "--columns=text,label"]
    run("zero_shot", f"--output_dir={tmp_path}/out", *flags, "--encoding=gb18030")
    assert results_of(tmp_path / "out")["eval_zh_rows"] == len(rows)


@pytest.mark.parametrize("recipe", ["zero_shot", "frozen_features", "unlabeled_target"])
@pytest.mark.parametrize(("layout", "positions"), [("bert", 66), ("xlm-r", 65)])
def test_a_length_beyond_the_positions_of_the_model(
    refused, encoders, files, recipe, layout, positions
):
    error = refused(
        recipe, *files.flags("source_train", "target_test"), f"--target_unlabeled={files.zh}",
        f"--model_name_or_path={encoders[layout]}", "--max_length=512",
    )  # fmt: skip
    assert all(words in error for words in ("max_length is 512", f"positions for {positions} "))


def test_a_model_that_is_an_encoder_decoder(refused, files, tmp_path):
    T5Config(d_model=16, num_layers=1, num_heads=2).save_pretrained(tmp_path / "t5")
    error = refused(
        "zero_shot", *files.flags("source_train"), f"--model_name_or_path={tmp_path}/t5"
    )
    assert "t5 is an encoder-decoder (t5), which is not served; take an encoder" in error
