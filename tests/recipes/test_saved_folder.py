"""A saved folder is a plain transformers model: it needs neither this package nor its base."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.commands import read_rows, write_rows

pytestmark = pytest.mark.slow

READER = """
import json, sys
sys.modules["xlingual"] = None  # as on a machine where it was never installed
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
try:
    import xlingual
except ImportError:
    pass
else:
    raise SystemExit("xlingual could be imported")
answers = {}
for folder, path in json.loads(sys.argv[1]).items():
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    texts = [row["text"] for row in rows]
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    ids = model(**batch).logits.argmax(-1).tolist()
    classify = pipeline("text-classification", model=folder)
    answers[folder] = {
        "model": [model.config.id2label[i] for i in ids],
        "pipeline": [answer["label"] for answer in classify(texts)],
        "scores": [answer["score"] for answer in classify(texts)],
    }
print("ANSWERS" + json.dumps(answers))
"""


def read_elsewhere(folders: dict[str, str], cwd: Path) -> dict:
    finished = subprocess.run(
        [sys.executable, "-c", READER, json.dumps(folders)],
        cwd=cwd,
        env={"HF_HUB_OFFLINE": "1", "PATH": "", "HOME": str(cwd), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.rpartition("ANSWERS")[2])


def test_full_and_adapter_folders_give_the_same_labels_by_name(
    tmp_path, run, files, encoder, encoders
):
    """Four kinds of saved folder in one new process, on texts of several lengths."""
    rows = read_rows(files.folder / "zh_test.jsonl")
    rows += [{"text": row["text"] * 2, "label": row["label"]} for row in rows[:5]]
    names = {"positive": "好评", "negative": "差评 (bad)"}
    for part in ("en", "zh_test"):
        part_rows = rows if part == "zh_test" else read_rows(files.folder / f"{part}.jsonl")
        named = [{**row, "label": names[row["label"].lower()]} for row in part_rows]
        write_rows(files.folder / f"{part}.jsonl", named)
    base = shutil.copytree(encoder, tmp_path / "base")
    kinds = {
        "full": [],
        "lora": ["--adapter=lora", f"--model_name_or_path={base}"],
        # A layout whose pooler is new as well: PEFT alone would not save it.
        "lora-xlm-r": ["--adapter=lora", f"--model_name_or_path={encoders['xlm-r']}"],
        "ia3-bert": ["--adapter=ia3", f"--model_name_or_path={encoders['bert']}"],
    }
    folders = {}
    for kind, flags in kinds.items():
        out = tmp_path / kind
        data = files.flags("source_train", "target_test")
        # Fast enough that the trained weights and not the first ones decide the labels.
        speed = ["--max_steps=12", "--learning_rate=5e-3"]
        run("zero_shot", f"--output_dir={out}", *data, *speed, *flags)
        folders[str(out)] = str(out / "predictions_zh.jsonl")
    shutil.rmtree(base)  # an adapter's folder stands by itself
    (tmp_path / "elsewhere").mkdir()
    answers = read_elsewhere(folders, tmp_path / "elsewhere")
    for folder, path in folders.items():
        predicted = read_rows(Path(path))
        labels = [row["prediction"] for row in predicted]
        assert answers[folder]["model"] == labels, folder
        assert answers[folder]["pipeline"] == labels, folder
        assert set(labels) <= set(names.values())
        scores = [max(row["probabilities"].values()) for row in predicted]
        assert answers[folder]["scores"] == pytest.approx(scores, abs=1e-4), folder
