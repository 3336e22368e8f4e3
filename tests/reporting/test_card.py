"""The model card: the hub's rules, a result for each set, and nothing invented."""

from __future__ import annotations

import json
import logging
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import yaml
from datasets import Dataset
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from xlingual import (
    DataArguments,
    LabelPredictions,
    LabelSpace,
    ModelArguments,
    TransferArguments,
    TransferReport,
    get_task,
    write_report,
)
from xlingual.data import TransferData, parse_sources
from xlingual.evaluation import score_set
from xlingual.reporting.card import MARKER, scrubbed_command, write_card
from xlingual.reporting.card_facts import protocol_lines

NAMES = ("好评: #1", "差评 | '坏'", "- [中性] {x}")
TEXTS = ["房间很干净。", "手機壞了", "还行", "下次还来", "WiFi 太慢"] * 8


def scored(name: str, *, task: str = "sequence", space: LabelSpace):
    rng = np.random.default_rng(len(name))
    references = rng.integers(0, len(space), 40)
    probs = rng.dirichlet([0.5] * len(space), 40)
    probs[np.arange(40), references] += 1
    probs /= probs.sum(axis=1, keepdims=True)
    output = LabelPredictions(references, probs.argmax(axis=1), probs)
    return score_set(name, output, task=get_task(task), label_space=space)


def make_report(*targets: str, names: tuple[str, ...] = NAMES, **options) -> TransferReport:
    space = LabelSpace(names)
    return TransferReport(
        task=get_task(options.pop("task", "sequence")),
        label_space=space,
        source=[scored("en", space=space)],
        targets=[scored(name, space=space) for name in targets or ("zh",)],
        **{"selection": "last", "costs": {"train_runtime": 90.0}, **options},
    )


def body_and_metadata(path: Path) -> tuple[str, dict]:
    card = ModelCard.load(path)
    return card.text, card.data.to_dict()


# --- the rules of the hub's metadata, as its documentation (modelcard.md) states them ---


def problems_of(content: str) -> list[str]:
    found = re.match(r"---\r?\n(.*?)\r?\n---", content, flags=re.S)
    if not found:
        return ["no metadata block"]
    data = yaml.safe_load(found[1])
    problems = []
    for code in data.get("language", []):
        if not re.fullmatch(r"[a-z]{2,3}", code):
            problems.append(f'"language" {code!r} is no ISO 639 code')
    for key in ("datasets", "base_model"):
        ids = data.get(key, [])
        for name in [ids] if isinstance(ids, str) else ids:
            if not re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", name, flags=re.ASCII):
                problems.append(f'"{key}" {name!r} is no id on the hub')
    relations = ("finetune", "adapter", "merge", "quantized", None)
    if data.get("base_model_relation") not in relations:
        problems.append('"base_model_relation" is unknown')
    if "license" in data and not re.fullmatch(r"[a-z0-9.-]+", data["license"]):
        problems.append('"license" is no identifier')
    if data.get("pipeline_tag") not in ("text-classification", "token-classification"):
        problems.append('"pipeline_tag" is unknown')
    if not all(isinstance(tag, str) for tag in data.get("tags", [])):
        problems.append('"tags" must be strings')
    if not all(isinstance(widget.get("text"), str) for widget in data.get("widget", [])):
        problems.append('"widget" needs a text')
    for model in data.get("model-index", []):
        problems += [] if isinstance(model.get("name"), str) else ['"model-index" needs a name']
        for result in model["results"]:
            for part in ("task", "dataset"):
                if not isinstance(result.get(part, {}).get("type"), str):
                    problems.append(f'"model-index" {part}.type is required')
            if not isinstance(result["dataset"].get("name"), str):
                problems.append('"model-index" dataset.name is required')
            if not re.fullmatch(r"(?:[\w-]+/)?[\w.-]+", result["dataset"]["type"], re.ASCII):
                problems.append('"model-index" dataset.type is no id')
            for metric in result.get("metrics") or [{}]:
                if "type" not in metric or not isinstance(metric.get("value"), (int, float)):
                    problems.append('"model-index" metrics need type and value')
    return problems


@pytest.fixture
def hub(monkeypatch):
    """The hub's /api/validate-yaml on loopback; yields the contents that were posted."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posted.append(body["content"])
            right = self.path == "/api/validate-yaml" and body["repoType"] == "model"
            problems = problems_of(body["content"]) if right else ["wrong endpoint"]
            answer = "\n".join(problems).encode()
            self.send_response(400 if problems else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    yield posted
    server.shutdown()
    server.server_close()


def test_the_hub_takes_the_card(tmp_path, hub, monkeypatch) -> None:
    config = {
        "model_name_or_path": "FacebookAI/xlm-roberta-base",
        "source_train": "books=org/reviews:en@train,local.csv",
        "target_test": "酒店=a.jsonl,books=org/评论.jsonl",
        "hub_model_id": "me/评论",
    }
    path = write_card(tmp_path, make_report("zh_酒店", "zh_books"), config=config)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    ModelCard.load(path).validate()
    assert len(hub) == 1
    assert hub[0] == path.read_text(encoding="utf-8")
    data = ModelCardData(language="English!", pipeline_tag="text-classification")
    with pytest.raises(ValueError, match="no ISO 639 code"):
        ModelCard(f"---\n{data.to_yaml()}\n---\n").validate()


def test_a_result_for_each_set_with_its_interval(tmp_path) -> None:
    report = make_report("zh_酒店", "zh_books")
    _, data = body_and_metadata(write_card(tmp_path, report))
    results = data["model-index"][0]["results"]
    assert [result["dataset"]["config"] for result in results] == ["en", "zh_酒店", "zh_books"]
    figures = report.results()
    for result in results:
        name = result["dataset"]["config"]
        accuracy, f1 = result["metrics"]
        assert (accuracy["type"], f1["name"]) == ("accuracy", "Macro-F1")
        for metric, key in ((accuracy, "accuracy"), (f1, "macro_f1")):
            assert metric["value"] == pytest.approx(figures[f"eval_{name}_{key}"], abs=1e-4)
            for end in ("low", "high"):
                wanted = figures[f"eval_{name}_{key}_{end}"]
                assert metric["args"][end] == pytest.approx(wanted, abs=1e-4)
    name, flat = model_index_to_eval_results(data["model-index"])
    assert eval_results_to_model_index(name, flat) == data["model-index"]


def test_metadata(tmp_path) -> None:
    config = {
        "model_name_or_path": "org/base",
        "source_train": "org/a:zh@train,b.csv",
        "target_test": "c.csv",
    }
    text, data = body_and_metadata(write_card(tmp_path, make_report(), config=config))
    assert data["language"] == ["en", "zh"]
    assert (data["base_model"], data["base_model_relation"]) == ("org/base", "finetune")
    assert data["datasets"] == ["org/a"], "a local file has no id"
    assert "local file b.csv" in text
    assert data["library_name"] == "transformers"
    assert data["pipeline_tag"] == "text-classification"
    assert "license" not in data
    assert "Not stated" in text
    assert all(re.search(r"[\u4e00-\u9fff]", example["text"]) for example in data["widget"])


def test_an_adapter(tmp_path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    config = {"model_name_or_path": "org/base", "adapter": "lora"}
    text, data = body_and_metadata(write_card(tmp_path, make_report(), config=config))
    assert (data["library_name"], data["base_model_relation"]) == ("peft", "adapter")
    assert "lora" in data["tags"]
    assert 'from_pretrained("org/base", num_labels=3)' in text
    assert "merge_and_unload()" in text
    plain = tmp_path / "plain"
    plain.mkdir()
    assert "peft" not in write_card(plain, make_report()).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("of_base", "asked", "expected"),
    [("mit", None, "mit"), ("mit", "apache-2.0", "mit"), (None, "apache-2.0", "apache-2.0")],
)
def test_the_licence_is_never_invented(tmp_path, caplog, of_base, asked, expected) -> None:
    base, out = tmp_path / "基座", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    if of_base:
        (base / "README.md").write_text(f"---\nlicense: {of_base}\n---\n", encoding="utf-8")
    config = {"model_name_or_path": str(base)}
    text, data = body_and_metadata(write_card(out, make_report(), config=config, license=asked))
    assert data["license"] == expected
    assert "base_model" not in data
    assert str(tmp_path) not in text.split("## Training command")[0]
    assert ("asked for apache-2.0" in caplog.text) is bool(of_base and asked)


def test_labels_with_special_characters_survive(tmp_path) -> None:
    report = make_report()
    rows = {"zh": Dataset.from_dict({"text": TEXTS})}
    path = write_card(tmp_path, report, rows=rows)
    text, data = body_and_metadata(path)
    titles = {example["example_title"] for example in data["widget"]}
    assert titles == set(NAMES)
    assert "`好评: #1`" in text
    assert "\\u" not in path.read_text(encoding="utf-8")


def test_texts_of_local_files_are_not_published(tmp_path) -> None:
    rows = {"zh": Dataset.from_dict({"text": ["客户张三的投诉"] * 40})}
    path = write_card(tmp_path, make_report(), rows=rows, config={"target_test": "秘密.csv"})
    assert "张三" not in path.read_text(encoding="utf-8")
    path = write_card(tmp_path, make_report(), rows=rows, config={"target_test": "org/open"})
    assert "张三" in path.read_text(encoding="utf-8")


def test_an_oracle_is_marked(tmp_path) -> None:
    text, _ = body_and_metadata(write_card(tmp_path, make_report(selection="target_dev")))
    assert "**ORACLE**" in text
    assert "- **Oracle**: target labels selected the weights" in text
    text, _ = body_and_metadata(write_card(tmp_path, make_report()))
    assert "ORACLE" not in text
    assert "**Oracle**" not in text


@pytest.mark.parametrize("role", ["target_train", "target_unlabeled", "target_validation"])
def test_what_was_read_of_the_target_is_counted(tmp_path, role: str) -> None:
    space = LabelSpace(NAMES)
    rows = {"酒店": Dataset.from_dict({"text": TEXTS})}
    data = TransferData(get_task("sequence"), space, space, **{role: rows, "target_test": rows})
    report = make_report(selection="target_dev" if role == "target_validation" else "last")
    text, _ = body_and_metadata(write_card(tmp_path, report, data=data))
    said = {
        "Training used no target labels.": role != "target_train",
        "Training used 40 labelled target rows.": role == "target_train",
        "40 target texts were used without their labels.": role == "target_unlabeled",
        "40 labelled target validation rows were used to select the weights.": role
        == "target_validation",
    }
    assert {line: line in text for line in said} == said


@pytest.mark.parametrize("asked", [True, False])
def test_a_moved_output_bias_is_told(asked) -> None:
    space = LabelSpace(NAMES)
    data = TransferData(get_task("sequence"), space, space)
    said = " ".join(protocol_lines("last", {"correct_label_shift": asked}, data))
    assert ("label_shift_corrected" in said) == asked


def test_token_tasks_are_told_the_one_right_strategy() -> None:
    from xlingual.reporting.card import _example

    example = _example("me/ner", '"org/base"', get_task("token"))
    assert 'aggregation_strategy="simple"' in example["pipeline"]
    assert "one entity for a whole sentence" in example["note"]


def test_where_the_sets_are_from_is_what_was_read(tmp_path) -> None:
    space = LabelSpace(NAMES)
    files = {"source_train": parse_sources("org/a:zh@train,b.csv", default_name="source_train")}
    data = TransferData(get_task("sequence"), space, space, sources=files)
    text, metadata = body_and_metadata(write_card(tmp_path, make_report(), data=data))
    assert metadata["datasets"] == ["org/a"]
    assert "source train: org/a:zh@train, local file b.csv" in text
    assert "embedded corpus" not in text


def test_energy_is_only_said_where_power_was_measured(tmp_path) -> None:
    text, _ = body_and_metadata(write_card(tmp_path, make_report()))
    assert "Energy and carbon: not measured" in text
    assert "Training: 90 s" in text
    text, _ = body_and_metadata(write_card(tmp_path, make_report(), measured_watts=200))
    assert "Energy: 0.005 kWh (measured mean power 200 W" in text


def test_a_command_keeps_no_secret() -> None:
    command = [
        "recipes/x.py",
        "--hub_token",
        "hf_abc",
        "--hub_token=s3",
        "hub_token=s4",
        "--seed=1",
    ]
    command += ["--push_to_hub_token", "s5", "hf_abcdefgh123", "https://u:pw@host/x", "a b"]
    shown = scrubbed_command(command)
    for secret in ("hf_abc", "s3", "s4", "s5", "pw"):
        assert secret not in shown
    assert "--seed=1" in shown
    assert shown.endswith("'a b'")


def test_a_card_that_a_person_wrote_is_kept(tmp_path, caplog) -> None:
    path = tmp_path / "README.md"
    path.write_text("# 我自己写的\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        write_card(tmp_path, make_report())
    assert path.read_text(encoding="utf-8") == "# 我自己写的\n"
    assert "written by a person and is kept" in caplog.text
    path.write_text(f"{MARKER}\n旧的", encoding="utf-8")
    write_card(tmp_path, make_report())
    assert "旧的" not in path.read_text(encoding="utf-8")


def test_the_report_writes_calibration_fit_and_card(tmp_path, tokenizer, caplog) -> None:
    tokenizer.save_pretrained(tmp_path)
    report = make_report("zh")
    rows = {
        "en": Dataset.from_dict({"text": ["The room was clean"] * 40}),
        "zh": Dataset.from_dict({"text": ["龘靐齉爩鱻"] * 40}),
    }
    args = TransferArguments(output_dir=str(tmp_path))
    write_report(
        tmp_path,
        report,
        model_args=ModelArguments(),
        data_args=DataArguments(),
        args=args,
        rows=rows,
    )
    results = json.loads((tmp_path / "all_results.json").read_text(encoding="utf-8"))
    assert results["fit_zh_unknown_share"] == 1
    assert results["fit_en_unknown_share"] == 0
    assert "zh: 100% of the zh characters are unknown" in caplog.text
    fitted = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert (fitted["fitted_on"], fitted["num_rows"]) == ("en", 40)
    assert fitted["calibration_temperature"] == results["calibration_temperature"]
    text, data = body_and_metadata(tmp_path / "README.md")
    assert "- **Warning**, zh: 100% of the zh characters are unknown" in text
    assert f"**{fitted['calibration_temperature']:.2f}**" in text
    assert data["license"] == "cc-by-sa-4.0", "that of the embedded encoder"


def test_target_labels_have_no_part_in_the_temperature(tmp_path) -> None:
    one, other = make_report("zh"), make_report("zh_别的")
    assert one.calibration == other.calibration
    alone = TransferReport(
        task=one.task, label_space=one.label_space, source=[], targets=one.targets, selection="last"
    )
    (tmp_path / "calibration.json").write_text("{}")
    write_report(tmp_path, alone)
    assert not (tmp_path / "calibration.json").exists(), "an older run's temperature"
    results = json.loads((tmp_path / "all_results.json").read_text(encoding="utf-8"))
    assert "eval_zh_ece" in results
    assert "eval_zh_calibrated_ece" not in results
