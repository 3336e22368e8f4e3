"""``translate_train``: every method runs, resumes and says what does not fit."""

from __future__ import annotations

import pytest

from tests.conftest import NEGATIVE, POSITIVE
from tests.recipes.commands import read_rows, results_of, write_rows
from tests.recipes.test_results import check_files
from tests.recipes.test_resume import same_bits
from tests.translation.conftest import make_marian

PAIRS = POSITIVE + NEGATIVE
METHODS = {
    "translations": "--translations=zh.txt",
    "bitext_consistency": "--bitext=pairs.tsv",
    "continual_alignment": "--bitext=pairs.tsv",
    "code_switching": "--dictionary=words.tsv",
}


@pytest.fixture
def given(files):
    """Files that a user may have besides the data; paths in the data's folder."""
    folder = files.folder
    chinese = dict(PAIRS)
    lines = [chinese[row["text"]] for row in read_rows(folder / "en.jsonl")]
    (folder / "zh.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pairs = "".join(f"{english}\t{chinese}\n" for english, chinese in PAIRS)
    (folder / "pairs.tsv").write_text(pairs, encoding="utf-8")
    words = "clean\t干净\nroom\t房间\nbed\t床\nbreakfast\t早餐\nservice\t服务\n"
    (folder / "words.tsv").write_text(words, encoding="utf-8")

    def flag(text: str) -> str:
        name, _, value = text.partition("=")
        return f"{name}={folder / value}"

    return flag


def start(run, files, out, *flags: str) -> None:
    run(
        "translate_train", *files.flags("source_train", "target_test"),
        f"--source_validation={files.en}", f"--output_dir={out}", "--bitext_threshold=0.01", *flags,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method(run, files, given, tmp_path, method):
    out = tmp_path / "out"
    start(run, files, out, f"--method={method}", given(METHODS[method]))
    check_files(out)
    assert (out / method / "model.safetensors").exists() is False
    assert results_of(out)["eval_zh_rows"] == 13


@pytest.mark.slow
def test_what_is_given_decides_and_consistency_and_the_guard(run, files, given, tmp_path, capsys):
    out = tmp_path / "out"
    start(
        run, files, out, given("--translations=zh.txt"), "--consistency=true",
        f"--target_unlabeled={files.zh}",
    )  # fmt: skip
    check_files(out)
    assert "saved" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "limits"),
    [("continual_alignment", {"max_ngram_loss": 0.0}), ("code_switching", {})],
)
def test_the_guard_of_alignment_lets_no_agreement_be_lost(
    run, files, given, tmp_path, monkeypatch, method, limits
):
    asked = []

    def chosen(teacher, student, *, unlabeled, source_validation, **rest):
        asked.append(rest)
        return teacher

    monkeypatch.setattr("xlingual.safer_of", chosen)
    start(run, files, tmp_path / "out", f"--method={method}", given(METHODS[method]))
    assert asked == [limits]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["translations", "bitext_consistency"])
def test_killed_and_started_again(run, files, given, tmp_path, method, monkeypatch):
    flags = (
        f"--method={method}", given(METHODS[method]), "--save_strategy=steps", "--save_steps=1",
        "--guard=false",
    )  # fmt: skip
    start(run, files, tmp_path / "whole", *flags)

    import xlingual

    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(xlingual, "mix_domains", killed)
        with pytest.raises(SystemExit):
            start(run, files, tmp_path / "part", *flags)
    start(run, files, tmp_path / "part", *flags, "--resume_from_checkpoint=true")
    assert same_bits(tmp_path / "whole", tmp_path / "part")


@pytest.mark.slow
def test_a_model_translates_the_training_or_the_test_rows(run, files, tmp_path):
    pytest.importorskip("sentencepiece")
    model = make_marian(tmp_path / "model", languages=("mul", "mul"))
    start(run, files, tmp_path / "train", f"--translation_model={model}")
    check_files(tmp_path / "train")
    cache = tmp_path / "train" / "translations.jsonl"
    assert len(cache.read_text(encoding="utf-8").splitlines()) == len(PAIRS)


@pytest.mark.slow
def test_translate_test_is_reported_as_such(run, files, tmp_path):
    translated = ["A clean room.", *["A terrible bed."] * 12]
    path = tmp_path / "en.txt"
    path.write_text("\n".join(translated) + "\n", encoding="utf-8")
    start(run, files, tmp_path / "out", "--method=translate_test", f"--translations={path}")
    results = results_of(tmp_path / "out")
    assert results["eval_zh_translated_rows"] == 13
    assert "eval_zh_accuracy" not in results
    rows = read_rows(tmp_path / "out" / "predictions_zh_translated.jsonl")
    assert rows[0]["text"] == "A clean room."


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "give one of --translations"),
        (("--method=magic",), "--method takes translations"),
        (("--method=code_switching", "--bitext=x"), "needs --dictionary"),
        (("--bitext=x", "--dictionary=y"), "say with --method"),
        (("--bitext=x", "--dictionary=y", "--method=code_switching"), "does not use --bitext"),
        (("--translations=x", "--translation_model=y"), "exclude each other"),
        (("--bitext=x", "--bitext_threshold=1"), "below 1"),
    ],
)
def test_wrong_flags_end_in_one_line(run, files, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit) as ended:
        run("translate_train", f"--output_dir={tmp_path / 'out'}", *flags)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "content", "message"),
    [
        ("--translations", "房间很干净。\n", "has 1 lines, but --source_train has 48 rows"),
        ("--translations", "Not Chinese.\n" * 48, "should be in Chinese"),
        ("--bitext", "房间很干净。\tThe room is clean.\n", "seem to be swapped"),
        ("--dictionary", "clean\tneat\nroom\tchamber\n", "one of them Chinese"),
    ],
)
def test_bad_files_are_named_before_anything_is_trained(
    run, files, tmp_path, capsys, flag, content, message
):
    path = tmp_path / "given.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        start(run, files, tmp_path / "out", f"{flag}={path}")
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("checkpoint-*"))


@pytest.mark.slow
def test_pairs_of_sentences_with_views_of_both_sides(run, tmp_path):
    rows = [
        {
            "premise": f"The {thing} is {word}.",
            "hypothesis": f"It is not {word}.",
            "translation": f"{thing}很{zh}。",
            "translation_pair": f"它不{zh}。",
            "label": label,
        }
        for thing in ("room", "bed", "street")
        for word, zh, label in (("clean", "干净", "contradiction"), ("quiet", "安靜", "neutral"))
    ] * 4
    source = write_rows(tmp_path / "pairs.jsonl", rows)
    run(
        "translate_train", "--task=pair", f"--source_train={source}", "--translations=column",
        "--consistency=true", f"--source_validation={source}", f"--output_dir={tmp_path / 'out'}",
    )  # fmt: skip
    assert results_of(tmp_path / "out")["eval_en_rows"] == 24
