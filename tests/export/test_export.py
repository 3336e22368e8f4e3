"""ONNX gives PyTorch's logits for every layout and size, and an export is whole or absent."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import peft
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.classifiers import enlarge, save_classifier
from tests.conftest import NEGATIVE, POSITIVE
from xlingual.errors import (
    ConfigError,
    ExportError,
    MissingDependencyError,
    ModelLoadError,
    OutputError,
)

for _package in ("onnx", "onnxruntime", "onnxscript"):
    pytest.importorskip(_package)

from xlingual.export import ExportReport, export_onnx, graphs, load_onnx_model, parity  # noqa: E402
from xlingual.inference import Predictor  # noqa: E402
from xlingual.inference.classifier_loading import load_classifier  # noqa: E402

LABELS = ("差评", "好评")
TEXTS = [text for pair in POSITIVE + NEGATIVE for text in pair]
LAYOUTS = ("bert-pair", "xlm-r-multi-label", "deberta-v3-lora", "modernbert", "modernbert-token")

pytestmark = pytest.mark.slow


class Exported(NamedTuple):
    model: Path
    folder: Path
    report: ExportReport


def _validation(folder: Path) -> str:
    """English and Chinese reviews, in a file each."""
    for side, language in enumerate(("en", "zh")):
        rows = [
            {"text": pair[side], "label": label}
            for pairs, label in ((POSITIVE, "好评"), (NEGATIVE, "差评"))
            for pair in pairs
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{language}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return f"en={folder / 'en.jsonl'},zh={folder / 'zh.jsonl'}"


def _with_token_types(folder: Path) -> Path:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def _with_lora(base: Path, folder: Path) -> Path:
    model = AutoModelForSequenceClassification.from_pretrained(base)
    config = peft.LoraConfig(
        task_type="SEQ_CLS",
        target_modules=["query_proj", "value_proj"],
        modules_to_save=["classifier", "pooler"],
        init_lora_weights=False,
    )
    adapted = peft.get_peft_model(model, config)
    enlarge(adapted)
    adapted.save_pretrained(folder)
    return folder


def _make(layout: str, encoders: dict[str, Path], folder: Path) -> Path:
    if layout == "bert-pair":
        saved = save_classifier(encoders["bert"], folder, labels=LABELS, num_hidden_layers=1)
        (saved / "run_config.yaml").write_text("task: pair\nmax_length: 40\n", encoding="utf-8")
        (saved / "calibration.json").write_text('{"calibration_temperature": 1.37}')
        return _with_token_types(saved)
    if layout == "xlm-r-multi-label":
        return save_classifier(
            encoders["xlm-r"],
            folder,
            labels=("价格", "服务", "房间"),
            problem_type="multi_label_classification",
            num_hidden_layers=1,
        )
    if layout == "deberta-v3-lora":
        base = save_classifier(
            encoders["deberta-v3"], folder / "base", labels=LABELS, num_hidden_layers=1
        )
        return _with_lora(base, folder / "adapter")
    if layout == "modernbert-token":
        return save_classifier(
            encoders["modernbert"],
            folder,
            labels=("O", "B-地点", "I-地点"),
            kind="Token",
        )
    # Both kinds of layer, and texts longer than what the local one sees.
    return save_classifier(encoders["modernbert"], folder, labels=LABELS, local_attention=8)


@pytest.fixture(scope="session")
def exported(encoders, tmp_path_factory) -> dict[str, Exported]:
    found = {}
    for layout in LAYOUTS:
        folder = tmp_path_factory.mktemp(layout)
        model = _make(layout, encoders, folder / "model")
        options: dict[str, Any] = {}
        if layout == "modernbert":
            options["validation"] = _validation(folder)
        elif layout != "modernbert-token":
            options["precision"] = ["fp32"]
        report = export_onnx(model, folder / "onnx", **options)
        found[layout] = Exported(model, folder / "onnx", report)
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_those_of_pytorch_at_every_size(exported, layout: str) -> None:
    source = load_classifier(exported[layout].model, device="cpu", precision="fp32")
    session = load_onnx_model(exported[layout].folder, num_threads=1)
    generator = torch.Generator().manual_seed(3)
    spread = []
    for rows, length in ((1, 1), (1, 2), (2, 2), (1, 9), (5, 3), (3, 33), (9, 64)):
        ids = torch.randint(5, 60, (rows, length), generator=generator)
        mask = torch.ones_like(ids)
        mask[-1, (length + 1) // 2 :] = 0
        batch = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
        if layout == "bert-pair":
            batch["token_type_ids"] = (torch.arange(length) > length // 2).long().expand(
                rows, length
            ).numpy()  # fmt: skip
        expected, logits = source.session(batch), session(batch)
        assert logits.dtype == np.float32
        assert logits.shape == expected.shape
        real = mask.bool().numpy() if expected.ndim == 3 else slice(None)
        assert np.abs(logits[real] - expected[real]).max() < 1e-4
        spread.append(expected.std())
    assert max(spread) > 0.05  # logits that are all alike would prove nothing


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_folder_serves_by_itself(exported, layout: str) -> None:
    model, folder, report = exported[layout]
    texts = list(itertools.pairwise(TEXTS)) if layout == "bert-pair" else TEXTS
    expected = Predictor.from_pretrained(model, device="cpu", precision="fp32").predict(texts)
    served = Predictor.from_pretrained(folder, backend="onnxruntime")
    found = served.predict(texts)
    for one, other in zip(found, expected, strict=True):
        assert (one.label, one.labels, one.tags) == (other.label, other.labels, other.tags)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
        spans = [(span.start, span.end, span.label) for span in one.spans]
        assert spans == [(span.start, span.end, span.label) for span in other.spans]
    assert not (folder / "model.safetensors").exists()
    assert json.loads((folder / "label_names.json").read_text(encoding="utf-8")) == list(
        served.label_names
    )
    assert set(report.max_logit_difference["fp32"]) >= {"en", "zh"}
    assert list(folder.parent.glob(".*")) == []


def test_what_serving_needs_comes_along(exported) -> None:
    served = Predictor.from_pretrained(exported["bert-pair"].folder, backend="onnxruntime")
    assert served.calibration_temperature == 1.37
    assert (served.max_length, served.takes_pairs) == (40, True)
    assert not (exported["bert-pair"].folder / "model_int8.onnx").exists()


def test_token_types_count_and_may_be_left_out(exported) -> None:
    session = load_onnx_model(exported["bert-pair"].folder)
    ids = np.arange(5, 17, dtype=np.int64).reshape(2, 6)
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    zeros = session({**batch, "token_type_ids": np.zeros_like(ids)})
    assert np.array_equal(session(batch), zeros)
    assert np.abs(session({**batch, "token_type_ids": np.ones_like(ids)}) - zeros).max() > 1e-3


def test_int8_is_smaller_and_agrees(exported) -> None:
    _, folder, report = exported["modernbert"]
    sizes = report.num_bytes
    assert sizes["int8"] == (folder / "model_int8.onnx").stat().st_size < sizes["fp32"]
    source = load_onnx_model(folder)
    int8 = load_onnx_model(folder, precision="int8")
    ids = np.arange(5, 45, dtype=np.int64).reshape(4, 10)
    batch = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    difference = np.abs(int8(batch) - source(batch)).max()
    assert 0 < difference < 0.2 * np.abs(source(batch)).max()
    assert min(report.label_agreement["int8"].values()) >= 0.75


def test_one_large_row_of_a_table_does_not_coarsen_the_others(tmp_path) -> None:
    from onnx import TensorProto, helper, numpy_helper, save

    table = np.random.default_rng(2).normal(size=(6, 8)).astype("float32")
    table[1], table[4] = table[1] * 1000, 0
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["logits"])],
        "lookup",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [None, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, None, 8])],
        [numpy_helper.from_array(table, "table")],
    )
    graphs._quantize_embeddings(graph)
    opsets = [helper.make_opsetid("", 18)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "model.onnx")
    found = load_onnx_model(tmp_path)({"input_ids": np.array([[5, 4, 3], [2, 1, 0]])})
    scales = np.abs(table).max(axis=1, keepdims=True) / 127
    expected = np.round(table / np.where(scales > 0, scales, 1)) * scales
    assert np.allclose(found.reshape(6, 8), expected[[5, 4, 3, 2, 1, 0]], rtol=1e-6, atol=0)
    assert (np.abs(expected - table) <= scales / 2 * 1.001).all()
    sizes = {entry.name: entry.data_type for entry in graph.initializer}
    assert sizes == {"table_int8": TensorProto.INT8, "table_scales": TensorProto.FLOAT}


def test_the_report_counts_answers_itself(exported) -> None:
    model, folder, report = exported["modernbert"]
    flat = json.loads((folder / "export_report.json").read_text(encoding="utf-8"))
    assert flat == report.to_results()
    for side, name in enumerate(("en", "zh")):
        texts = [pair[side] for pair in POSITIVE + NEGATIVE]
        gold = ["好评"] * 6 + ["差评"] * 6
        answers = Predictor.from_pretrained(model, device="cpu").predict(texts)
        right = np.mean([a.label == b for a, b in zip(answers, gold, strict=True)])
        assert flat[f"eval_{name}_accuracy"] == flat[f"eval_{name}_onnx_fp32_accuracy"] == right
        assert flat[f"eval_{name}_rows"] == 12
        lost = 100 * (right - flat[f"eval_{name}_onnx_int8_accuracy"])
        assert report.accuracy_lost(name, "int8") == pytest.approx(lost)
    assert "lost: points of accuracy" in report.table()
    assert report.table().count(" 12\n") == 4, "a row for each precision and set"


@pytest.mark.parametrize(("int8", "is_warned"), [(0.89, True), (0.896, False)])
def test_a_loss_above_half_a_point_is_a_warning(caplog, int8: float, is_warned: bool) -> None:
    report = ExportReport(Path("x"), accuracy={"zh": {"torch": 0.9, "int8": int8}})
    report.num_rows["zh"] = 500
    with caplog.at_level(logging.WARNING, logger="xlingual"):
        parity._warn_of_loss(report, "zh", "int8")
    assert ("points of accuracy on zh" in caplog.text) is is_warned


@pytest.fixture
def ready_graphs(exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """The modernbert's graph instead of a new trace, for tests of what comes after it."""
    import onnx

    class Program:
        def save(self, path: str, external_data: bool) -> None:
            onnx.save(
                onnx.load(exported["modernbert"].folder / "model.onnx"),
                path,
                save_as_external_data=external_data,
                location=f"{Path(path).name}.data",
                size_threshold=1_000,  # a graph's sizes and axes stay in it, as always
            )

    monkeypatch.setattr(graphs, "_trace", lambda source, opset: Program())
    return exported["modernbert"]


@pytest.mark.parametrize("wrong", [2e-4, float("nan")])
def test_a_graph_that_differs_is_refused(
    ready_graphs, tmp_path, monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    load = parity.load_onnx_model

    def wrong_on_long_rows(folder: Path, **kwargs: Any) -> Any:
        session = load(folder, **kwargs)
        return lambda batch: session(batch) + (wrong if batch["input_ids"].shape[1] > 20 else 0)

    monkeypatch.setattr(parity, "load_onnx_model", wrong_on_long_rows)
    with pytest.raises(ExportError, match="does not compute what PyTorch does"):
        export_onnx(ready_graphs.model, tmp_path / "out", precision=["fp32"])
    assert list(tmp_path.iterdir()) == []


def test_int8_alone(ready_graphs, tmp_path) -> None:
    (tmp_path / "out").mkdir()  # an empty folder is as good as none
    export_onnx(ready_graphs.model, tmp_path / "out", precision=["int8"])
    assert [path.name for path in (tmp_path / "out").glob("*.onnx*")] == ["model_int8.onnx"]
    served = Predictor.from_pretrained(tmp_path / "out", backend="onnxruntime")
    assert served.predict(["房间很干净。"])[0].label in LABELS


def test_weights_beside_the_graph(ready_graphs, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_EXTERNAL_FROM", 0)
    report = export_onnx(ready_graphs.model, tmp_path / "out")
    names = ["model.onnx", "model.onnx.data", "model_int8.onnx", "model_int8.onnx.data"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.onnx*")) == names
    assert report.num_bytes["fp32"] > (tmp_path / "out" / "model.onnx.data").stat().st_size
    for precision in ("fp32", "int8"):
        batch = {name: np.array([[5, 6, 7]]) for name in ("input_ids", "attention_mask")}
        found, expected = (
            load_onnx_model(folder, precision=precision)(batch)
            for folder in (tmp_path / "out", ready_graphs.folder)
        )
        assert np.allclose(found, expected, atol=1e-6)


def test_a_full_disk_leaves_nothing(ready_graphs, tmp_path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            export_onnx(ready_graphs.model, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_is_removed(ready_graphs, tmp_path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])  # its number is nobody's once it is reaped
    dead.wait()
    left, other = tmp_path / f".out.{dead.pid}.part", tmp_path / f".out.{os.getppid()}.part"
    for folder in (left, other):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"half")
    export_onnx(ready_graphs.model, tmp_path / "out", precision=["fp32"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "out"]


def test_a_place_that_cannot_be_written(ready_graphs, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        export_onnx(ready_graphs.model, tmp_path / "file" / "out")


def test_output_that_is_there_is_refused(encoder, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not an empty folder"):
        export_onnx(encoder, tmp_path / "out")
    with pytest.raises(OutputError, match="is not an empty folder"):
        export_onnx(encoder, tmp_path / "out" / "notes.txt")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_a_graph_that_cannot_run_is_refused(
    ready_graphs, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    class FromTheFuture:
        def save(self, path: str, external_data: bool) -> None:
            model = onnx.load(ready_graphs.folder / "model.onnx")
            model.opset_import[0].version = 99
            onnx.save(model, path)

    monkeypatch.setattr(graphs, "_trace", lambda source, opset: FromTheFuture())
    with pytest.raises(ExportError, match="cannot run the fp32 graph"):
        export_onnx(ready_graphs.model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["_trace", "_quantize"])
def test_what_cannot_be_followed_is_one_error(
    ready_graphs, tmp_path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def lose_the_way(*args: Any, **kwargs: Any) -> None:
        raise TypeError("data-dependent control flow\nand a page of details")

    monkeypatch.setattr(graphs, step, lose_the_way)
    with pytest.raises(ExportError, match=r"TypeError: data-dependent control flow$"):
        export_onnx(ready_graphs.model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_model_is_refused(encoder, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadError, match="holds no model"):
        export_onnx(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ModelLoadError, match="no trained classification head"):
        export_onnx(encoder, tmp_path / "out")
    with pytest.raises(ConfigError, match="fp32, int8; got \\['fp16'\\]"):
        export_onnx(encoder, tmp_path / "out", precision=["fp16"])
    assert not (tmp_path / "out").exists()


def test_the_predictor_takes_either_graph(exported) -> None:
    folder = exported["modernbert"].folder
    found = {
        precision: Predictor.from_pretrained(
            folder, backend="onnxruntime", precision=precision
        ).predict(TEXTS)
        for precision in ("auto", "fp32", "int8")
    }
    scores = {kind: [a.probability for a in answers] for kind, answers in found.items()}
    assert scores["auto"] == scores["fp32"] != scores["int8"]
    with pytest.raises(ConfigError, match="auto, fp32, int8; got 'bf16'"):
        Predictor.from_pretrained(folder, backend="onnxruntime", precision="bf16")


def test_graphs_that_cannot_be_loaded(tmp_path) -> None:
    with pytest.raises(ModelLoadError, match=r"has no model\.onnx"):
        load_onnx_model(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelLoadError, match="is not an ONNX graph"):
        load_onnx_model(tmp_path)


def test_without_the_extra(encoder, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "xlingual\[export\]"'):
        export_onnx(encoder, tmp_path / "out")


def test_a_half_predicted_file_goes_on_in_one_precision(exported, tmp_path) -> None:
    from xlingual.errors import XlingualError
    from xlingual.inference import predict_file

    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "房间很干净"}\n{"text": "太吵了"}\n' * 3, encoding="utf-8")
    out = tmp_path / "out.jsonl"

    class StopError(Exception):
        pass

    def stop(num_rows: int) -> None:
        raise StopError

    def predict(precision: str, **settings: Any) -> None:
        predictor = Predictor.from_pretrained(
            exported["modernbert"].folder, backend="onnxruntime", precision=precision
        )
        predict_file(predictor, str(texts), str(out), chunk_rows=2, **settings)

    with pytest.raises(StopError):
        predict("fp32", on_progress=stop)
    with pytest.raises(XlingualError):
        predict("int8", resume=True)
    predict("fp32", resume=True)
    assert len(out.read_text(encoding="utf-8").splitlines()) == 6
