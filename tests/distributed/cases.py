"""What the playlist runs in two processes, and the small files that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.classifiers import save_classifier
from tests.conftest import NEGATIVE, POSITIVE
from tests.pretraining.conftest import PAIRS
from tests.pretraining.test_build import TINY
from tests.recipes.commands import QUICK, write_rows

FLAGS = (*QUICK, "--per_device_train_batch_size=4", "--learning_rate=3e-3")
MODEL, TARGET = "--model_name_or_path={encoder}", "--target_test={zh}"
SOURCE, VALIDATION = "--source_train={en}", "--source_validation={en}"
USUAL = (MODEL, SOURCE, VALIDATION, TARGET)
# At most an epoch of 48 rows: accelerate fills up a last batch that two cannot share evenly.
STEPS, NO_GUARD = "--max_steps=6", "--guard=false"
TEXT, MANY, BITEXT = "--target_unlabeled={text}", "--target_unlabeled={many}", "--bitext={pairs}"

SAME_AS_ONE = {
    "zero-shot": (
        "zero_shot", *USUAL, TEXT, "--max_steps=8", "--correct_label_shift=true",
    ),
    "r-drop": ("zero_shot", *USUAL, STEPS, "--r_drop_weight=1"),
    "co-training": ("unlabeled_target", *USUAL, MANY, "--max_steps=8", NO_GUARD),
    "cdan": ("unlabeled_target", *USUAL, STEPS, TEXT, NO_GUARD, "--method=cdan"),
    "self-training": (
        "unlabeled_target", *USUAL, STEPS, TEXT, NO_GUARD, "--method=self_training",
        "--confidence_threshold=0.01",
    ),
    "translations": ("translate_train", *USUAL, STEPS, NO_GUARD, "--translations={lines}"),
    "code-switching": ("translate_train", *USUAL, STEPS, NO_GUARD, "--dictionary={words}"),
    "bitext-consistency": (
        "translate_train", *USUAL, STEPS, NO_GUARD, BITEXT, "--bitext_threshold=0.01",
    ),
    "continual-alignment": (
        "translate_train", *USUAL, STEPS, NO_GUARD, BITEXT, "--method=continual_alignment",
    ),
    "distill": (
        "distill", *USUAL, STEPS, BITEXT, "--bitext_threshold=0.01", "--teachers={teacher}",
    ),
    "few-shot": ("few_shot", *USUAL, STEPS, "--target_train={shots}", "--shots_per_label=4"),
    "joint": ("joint", *USUAL, STEPS, "--target_train={shots}"),
    "frozen-features": ("frozen_features", *USUAL, MANY, "--co_training=true"),
    "source-free": (
        "source_free", "--model_name_or_path={teacher}", TEXT, TARGET, "--num_rounds=2", NO_GUARD,
    ),
    "multi-task": (
        "multi_task", MODEL, VALIDATION, TARGET, "--source_train=hotel={en},books={en}*0.25",
        "--max_steps=8", "--loss_weights=uncertainty", "--sampling_temperature=2",
        "--save_strategy=steps", "--save_steps=4",
    ),
}  # fmt: skip
"""What gives in two processes what it gives in one."""

HEADS = (
    "multi_task", MODEL, "--source_train=a={en},b={en}", "--target_test=a={zh},b={zh}",
    "--max_steps=4", "--loss_weights=uncertainty", "--separate_heads=true",
)  # fmt: skip
# Masks are drawn by each process, so these two are not the run of one.
OWN_DRAWS = {
    "continued-pretraining": (
        "unlabeled_target", MODEL, SOURCE, TARGET, TEXT, STEPS, NO_GUARD,
        "--method=continued_pretraining", "--pretraining_epochs=1",
    ),
    "language-adapters": (
        "language_adapters", MODEL, SOURCE, TARGET, TEXT, NO_GUARD, "--language_adapter_epochs=2",
        "--language_adapter_rank=2", "--adapter_rank=2", "--language_adapter_learning_rate=0.02",
    ),
}  # fmt: skip
PRIVATE = ("private", MODEL, SOURCE, "--private_delta=1e-3")


def write_files(folder: Path, encoder: str) -> dict[str, str]:
    """48 English rows, 24 Chinese texts, and 13 Chinese rows: an odd number, to test on."""
    english, chinese = (
        [{"text": pair[side], "label": "good"} for pair in POSITIVE]
        + [{"text": pair[side], "label": "bad"} for pair in NEGATIVE]
        for side in (0, 1)
    )
    tested = [*chinese, {"text": "前台热情，房间很脏。", "label": "bad"}]
    return {
        "encoder": encoder,
        "teacher": str(save_classifier(encoder, folder / "teacher", labels=("good", "bad"))),
        "en": write_rows(folder / "en.jsonl", english * 4),
        "text": write_rows(folder / "text.jsonl", [{"text": row["text"]} for row in chinese * 2]),
        "many": write_rows(folder / "many.jsonl", [{"text": row["text"]} for row in chinese * 25]),
        "zh": write_rows(folder / "zh.jsonl", tested),
        "shots": write_rows(folder / "shots.jsonl", chinese),
        "pairs": write_lines(folder / "pairs.tsv", map("\t".join, POSITIVE + NEGATIVE)),
        "words": write_lines(folder / "words.tsv", ["clean\t干净", "room\t房间", "bed\t床"]),
        "lines": write_lines(folder / "lines.txt", [zh for _, zh in POSITIVE + NEGATIVE] * 4),
        "corpus": write_lines(folder / "corpus.tsv", map("\t".join, PAIRS)),
    }


def write_lines(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def command(words: Iterable[str], files: dict[str, str], out: Path) -> list[str]:
    """The command of a recipe that trains, with its files and its output folder."""
    recipe, *flags = (word.format(**files) for word in words)
    return [recipe, *FLAGS, *flags, f"--output_dir={out}"]


def all_commands(files: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """The playlist: every case by its name, each with a folder of that name."""
    recipes = {**SAME_AS_ONE, **OWN_DRAWS, "separate-heads": HEADS, "private": PRIVATE}
    encoder = files["encoder"]
    return {
        **{name: command(words, files, folder / name) for name, words in recipes.items()},
        "gradients": ["tests.distributed.worker", encoder, str(folder / "gradients"), "2"],
        "losses": ["tests.distributed.losses_worker", encoder, str(folder / "losses")],
        "pretraining": [
            "pretrain_encoder", "--bitext", files["corpus"], "--output_dir",
            str(folder / "pretraining"), *TINY,
        ],
    }  # fmt: skip
