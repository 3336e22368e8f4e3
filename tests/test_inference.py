"""A saved model gives the labels, probabilities and spans that it gave in training."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

from tests.classifiers import (
    byte_tokenizer,
    enlarge,
    save_classifier,
    sentencepiece_tokenizer,
)
from tests.conftest import NEGATIVE, POSITIVE
from xlingual.data import DataSource, encode, load_source
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.inference import Predictor, loading
from xlingual.inference.batches import token_budget_batches
from xlingual.inference.rows import encode_texts
from xlingual.inference.spans import Tagged, align_characters, decode_spans, join_tokens
from xlingual.labels import LabelSpace
from xlingual.tasks import get_task
from xlingual.trainer import TransferTrainer
from xlingual.training_args import TransferArguments

LABELS = ("差评", "好评", "neutral")
TEXTS = [text for pair in POSITIVE + NEGATIVE for text in pair]
ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
MESSY = [
    "\ufeff　房间很\u200b干净。 \r\n",
    "Great\x00 service\x0band\ra friendly front desk.",
    "床很舒服，早餐不錯👩\u200d👩\u200d👧，ＷｉＦｉ很快\u200d！",
    "位置\u202e极好 \u2028 WiFi很快",
]


@pytest.fixture(scope="module")
def folder(encoders, tmp_path_factory) -> Path:
    """Three labels on the tiny ModernBERT."""
    return save_classifier(
        encoders["modernbert"], tmp_path_factory.mktemp("sequence"), labels=LABELS
    )


@pytest.fixture
def copy(folder, tmp_path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def predictor(folder) -> Predictor:
    return Predictor.from_pretrained(folder, device="cpu")


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def logits_of(folder: Path, *texts: list[str], name: str = "Sequence") -> np.ndarray:
    """The plain way: transformers alone, one text at a time."""
    auto_class = getattr(__import__("transformers"), f"AutoModelFor{name}Classification")
    model = auto_class.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = zip(*texts, strict=True)
        outputs = [model(**tokenizer(*row, return_tensors="pt")).logits[0] for row in rows]
    return torch.stack(outputs).numpy()


# Sequence, pair, multi-label


@pytest.mark.parametrize("name", ["bert", "xlm-r", "deberta-v3", "modernbert"])
def test_same_answers_as_the_pipeline_of_transformers(encoders, tmp_path, name):
    folder = save_classifier(encoders[name], tmp_path / "model", labels=LABELS)
    expected = pipeline("text-classification", model=str(folder), device=-1)(TEXTS)
    found = Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
    assert [answer.label for answer in found] == [answer["label"] for answer in expected]
    scores = [answer["score"] for answer in expected]
    assert [answer.probability for answer in found] == pytest.approx(scores, abs=1e-4)
    assert len({answer.label for answer in found}) > 1  # or the test would say little
    assert found[0].probabilities.keys() == {*LABELS}


def test_any_order_and_any_budget_give_the_same_answers(predictor, folder):
    texts = [text * (1 + place % 3) for place, text in enumerate(TEXTS)]
    expected = predictor.predict(texts)
    order = list(range(len(texts)))
    random.Random(0).shuffle(order)
    for budget in (1, 64, 100_000):
        other = Predictor.from_pretrained(folder, device="cpu", token_budget=budget)
        found = other.predict([texts[place] for place in order])
        for place, answer in zip(order, found, strict=True):
            assert answer.label == expected[place].label
            assert answer.probability == pytest.approx(expected[place].probability, abs=1e-5)


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget):
    batches = list(token_budget_batches(lengths, budget=budget))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    longest = [max(lengths[place] for place in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, length in zip(batches, longest, strict=True):
        assert len(batch) == 1 or len(batch) * length <= budget


def test_probabilities_use_the_fitted_temperature(copy):
    write_json(copy / "calibration.json", {"calibration_temperature": 2.5, "fitted_on": "en"})
    logits = logits_of(copy, TEXTS)
    exponentials = np.exp(logits / 2.5)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    found = Predictor.from_pretrained(copy, device="cpu").predict(TEXTS)
    rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert abs(expected - softmax(logits, axis=1)).max() > 0.05


@pytest.mark.parametrize("value", [0, -1, "hot", None, float("inf"), float("nan")])
def test_an_impossible_temperature_is_refused(copy, value):
    write_json(copy / "calibration.json", {"calibration_temperature": value})
    with pytest.raises(ModelLoadError, match="calibration_temperature"):
        Predictor.from_pretrained(copy)


def test_multi_label(encoders, tmp_path):
    folder = save_classifier(
        encoders["bert"],
        tmp_path / "model",
        labels=LABELS,
        problem_type="multi_label_classification",
    )
    write_json(folder / "calibration.json", {"calibration_temperature": 2.0})
    logits = logits_of(folder, TEXTS)
    found = Predictor.from_pretrained(folder, device="cpu").predict(TEXTS)
    rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
    np.testing.assert_allclose(rows, expit(logits / 2.0), atol=1e-5)
    for answer, row in zip(found, logits, strict=True):
        assert answer.labels == tuple(
            name for name, logit in zip(LABELS, row, strict=True) if logit > 0
        )
        assert answer.label == (LABELS[row.argmax()] if row.max() > 0 else None)


def test_pairs_in_either_form(predictor, folder):
    first, second = [list(side) for side in zip(*POSITIVE, strict=True)]
    expected = softmax(logits_of(folder, first, second), axis=1)
    for found in (
        predictor.predict(list(zip(first, second, strict=True))),
        predictor.predict(first, text_pairs=second),
    ):
        rows = [[answer.probabilities[name] for name in LABELS] for answer in found]
        np.testing.assert_allclose(rows, expected, atol=1e-5)
    swapped = predictor.predict(second, text_pairs=first)
    assert any(
        abs(a.probability - b.probability) > 1e-4 for a, b in zip(found, swapped, strict=True)
    )


@pytest.mark.parametrize("task", ["sequence", "pair"])
def test_token_ids_are_those_of_training(predictor, tmp_path, task):
    """Texts as a file may hold them: through the loader and encode(), and through Predictor."""
    rows = [{"text": a, "text_pair": b} for a, b in zip(MESSY, reversed(MESSY), strict=True)]
    rows.append({"text": "床很舒服" * 60, "text_pair": "服务很好" * 60})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    loaded = load_source(DataSource("rows", str(path)), task=get_task(task), labels="drop")
    trained = encode(
        loaded.dataset,
        tokenizer=predictor.tokenizer,
        task=get_task(task),
        label_space=LabelSpace(LABELS),
        max_length=predictor.max_length,
    )
    seen: list[list[int]] = []

    def session(batch):
        lengths = batch["attention_mask"].sum(axis=1)
        ids = zip(batch["input_ids"], lengths, strict=True)
        seen.extend(row[:length].tolist() for row, length in ids)
        return np.zeros((len(lengths), 2), dtype="float32")

    watched = Predictor(
        session,
        predictor.tokenizer,
        label_names=("a", "b"),
        max_length=predictor.max_length,
        token_budget=1,
    )
    asked = [(row["text"], row["text_pair"]) if task == "pair" else row["text"] for row in rows]
    answers = watched.predict(asked)
    assert sorted(seen) == sorted(trained["input_ids"][:])
    assert [answer.truncated for answer in answers] == [False] * 4 + [True]


@pytest.mark.parametrize(
    "text", ["床很舒服" * 9_000, "床" + " " * 40_000 + "很舒服", "room " * 9_000, "x" * 50_000]
)
def test_of_a_book_only_the_beginning_is_tokenised(predictor, text):
    (row,), (is_cut,) = encode_texts(predictor.tokenizer, [(text,)], max_length=66)
    expected = predictor.tokenizer(text, truncation=True, max_length=66)
    assert row == dict(expected)
    assert is_cut == (len(expected["input_ids"]) == 66)


def test_max_length_is_that_of_training_and_never_beyond_the_positions(copy, encoders, tmp_path):
    (copy / "run_config.yaml").write_text("max_length: 17\ntask: pair\n", encoding="utf-8")
    found = Predictor.from_pretrained(copy)
    assert (found.max_length, found.takes_pairs) == (17, True)
    assert Predictor.from_pretrained(copy, max_length=9).max_length == 9
    for name, positions in (("bert", 66), ("xlm-r", 65)):
        folder = save_classifier(encoders[name], tmp_path / name, labels=LABELS)
        (folder / "run_config.yaml").write_text("max_length: 128\n", encoding="utf-8")
        found = Predictor.from_pretrained(folder, device="cpu")
        assert found.max_length == positions
        assert found.predict(["床很舒服，" * 100])[0].truncated  # and no position is out of range
        with pytest.raises(ConfigError, match="max_length"):
            Predictor.from_pretrained(folder, max_length=500)


def test_rows_without_a_text_have_no_answer_and_disturb_no_other(predictor):
    odd = [None, "", "　\u200b\ufeff", "\0", 7, ["a"], ("a",), ("a", None), float("nan"), "\ud83d"]
    fine = ["😀", "a\0b", "Ｇｒｅａｔ　ＷｉＦｉ", "一點也不差", "床" * 10_000, "﷽ ẞ ½", "\u0301"]
    mixed = [row for pair in zip(odd, odd, strict=True) for row in (pair[0], "床很舒服。")]
    found = predictor.predict(mixed + fine)
    assert len(found) == len(mixed) + len(fine)
    for answer in found[0 : len(mixed) : 2]:
        assert (answer.label, answer.probability) == (None, None)
        assert answer.error
    assert found[0].error == "no text"
    assert found[2].error == "empty text"
    (alone,) = predictor.predict(["床很舒服。"])
    for answer in (*found[1 : len(mixed) : 2], *found[len(mixed) :]):
        assert answer.label in LABELS
    assert found[1].probability == pytest.approx(alone.probability, abs=1e-6)
    assert predictor.predict([]) == []


def test_misuse_is_named(predictor):
    with pytest.raises(ConfigError, match="list of texts"):
        predictor.predict("one text")
    with pytest.raises(ConfigError, match="as many as rows"):
        predictor.predict(["a", "b"], text_pairs=["c"])


def test_logits_that_are_not_numbers_are_no_answer(predictor):
    def overflows(batch):
        return np.full((len(batch["input_ids"]), 2), np.nan, dtype="float32")

    broken = Predictor(overflows, predictor.tokenizer, label_names=("a", "b"))
    (answer,) = broken.predict(["床很舒服。"])
    assert answer.label is None
    assert "finite" in answer.error


# Loading


@pytest.fixture(scope="module")
def adapter(request, encoders, tmp_path_factory):
    """A trained adapter folder with its base beside it, and what the trainer predicts."""
    kind, layout = request.param
    base = shutil.copytree(encoders[layout], tmp_path_factory.mktemp("base") / layout)
    encoder = AutoModelForMaskedLM.from_pretrained(base)
    enlarge(encoder)
    encoder.save_pretrained(base)
    folder = tmp_path_factory.mktemp("adapter")
    rows = [(a, label) for part, label in ((POSITIVE, "好评"), (NEGATIVE, "差评")) for _, a in part]
    dataset = Dataset.from_dict({"text": [r[0] for r in rows], "label": [r[1] for r in rows]})
    args = TransferArguments(
        output_dir=str(folder), adapter=kind, max_steps=3, learning_rate=1e-2, precision="fp32",
        per_device_train_batch_size=8, save_strategy="no", report_to="none", disable_tqdm=True,
        use_cpu=True,
    )  # fmt: skip
    trainer = TransferTrainer(str(base), args, train_dataset=dataset)
    trainer.train()
    enlarge(trainer.model)  # the adapter and the head
    trainer.save_model()
    write_json(folder / "all_results.json", {"label_names": list(trainer.label_space.names)})
    expected = trainer.predict_labels(dataset).probs
    names = trainer.label_space.names
    return folder, Path(base), dataset["text"][:], expected[:, [names.index(n) for n in LABELS[:2]]]


ADAPTERS = pytest.mark.parametrize(
    "adapter",
    [("lora", "xlm-r"), ("dora", "bert"), ("ia3", "deberta-v3"), ("lora", "modernbert")],
    indirect=True,
    ids="-".join,
)


@ADAPTERS
def test_an_adapter_with_and_without_its_base_beside_it(adapter, tmp_path):
    folder, base, texts, expected = adapter
    alone = Path(shutil.copytree(folder, tmp_path / "alone"))
    for name in ("config.json", "model.safetensors"):
        (alone / name).unlink()
    for place in (folder, alone):
        found = Predictor.from_pretrained(place, device="cpu").predict(texts)
        rows = [[answer.probabilities[name] for name in LABELS[:2]] for answer in found]
        np.testing.assert_allclose(rows, expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.05  # or any model would do
    moved = base.with_name("moved")
    base.rename(moved)
    try:
        with pytest.raises(ModelLoadError, match=r"its base model .* is missing"):
            Predictor.from_pretrained(alone)
    finally:
        moved.rename(base)


@pytest.mark.parametrize("adapter", [("lora", "bert")], indirect=True)
def test_an_adapter_on_another_base_is_refused(adapter, encoders, tmp_path):
    folder, _, _, _ = adapter
    alone = Path(shutil.copytree(folder, tmp_path / "alone"))
    for name in ("config.json", "model.safetensors"):
        (alone / name).unlink()
    content = json.loads((alone / "adapter_config.json").read_text(encoding="utf-8"))
    other = tmp_path / "other"  # as after a change of the model on the hub: one layer less
    shutil.copytree(encoders["bert"], other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    write_json(other / "config.json", config | {"num_hidden_layers": 1})
    write_json(alone / "adapter_config.json", content | {"base_model_name_or_path": str(other)})
    with pytest.raises(ModelLoadError, match="does not fit its base"):
        Predictor.from_pretrained(alone)
    hub = {"base_model_name_or_path": "nobody/nothing", "revision": "v2"}
    write_json(alone / "adapter_config.json", content | hub)
    with pytest.raises(ModelLoadError, match="'nobody/nothing' at revision 'v2' is missing"):
        Predictor.from_pretrained(alone)


def test_a_hub_id_comes_from_the_local_cache(folder, tmp_path, monkeypatch):
    import huggingface_hub.constants

    repository = tmp_path / "models--someone--hotels"
    shutil.copytree(folder, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert Predictor.from_pretrained("someone/hotels").label_names == LABELS
    with pytest.raises(ModelLoadError, match=r"at revision 'v9'.*HF_HUB_OFFLINE"):
        Predictor.from_pretrained("someone/hotels", revision="v9")


@pytest.mark.parametrize("name", ["no/such/folder", "./nothing", "bad id!", "someone/nothing"])
def test_a_model_that_is_nowhere(name):
    with pytest.raises(ModelLoadError):
        Predictor.from_pretrained(name)


def test_pickled_weights_are_refused_before_they_are_read(copy, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("a pickle was read"))
    state = AutoModelForSequenceClassification.from_pretrained(copy).state_dict()
    torch.save(state, copy / "pytorch_model.bin")
    assert Predictor.from_pretrained(copy).label_names == LABELS  # safetensors are there as well
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match=r"pickled weights .*refused"):
        Predictor.from_pretrained(copy)
    (copy / "pytorch_model.bin").rename(copy / "adapter_model.bin")
    write_json(copy / "adapter_config.json", {"peft_type": "LORA"})
    with pytest.raises(ModelLoadError, match=r"pickled weights .*refused"):
        Predictor.from_pretrained(copy)


def test_foreign_code_is_never_run(copy):
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "evil.py").write_text("raise SystemExit('foreign code was run')")
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}}
    write_json(copy / "config.json", config)
    with pytest.raises(ModelLoadError, match="cannot load"):
        Predictor.from_pretrained(copy)


def test_folders_that_are_no_classifier(copy, encoder, tmp_path):
    with pytest.raises(ModelLoadError, match=r"no trained classification head.*MaskedLM"):
        Predictor.from_pretrained(encoder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadError, match=r"holds no model.*nothing"):
        Predictor.from_pretrained(tmp_path / "empty")
    with pytest.raises(ModelLoadError, match="is a file"):
        Predictor.from_pretrained(copy / "config.json")
    one = save_classifier(encoder, tmp_path / "one", labels=("score",))
    with pytest.raises(ModelLoadError, match="one number"):
        Predictor.from_pretrained(one)


def test_damaged_folders(copy):
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(ModelLoadError, match="cannot load"):
        Predictor.from_pretrained(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match="no weights"):
        Predictor.from_pretrained(copy)
    (copy / "calibration.json").write_text("{")
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelLoadError, match=r"calibration.json is not valid JSON"):
        Predictor.from_pretrained(copy)


def test_a_missing_parameter_is_an_error_and_not_a_random_head(copy):
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    state.pop("classifier.weight")
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match=r"random: classifier.weight"):
        Predictor.from_pretrained(copy)


@pytest.mark.parametrize(
    "argument",
    [
        {"backend": "tensorflow"},
        {"device": "cuda:99"},
        {"device": "abacus"},
        {"precision": "int3"},
        {"max_length": 2},
        {"token_budget": 0},
    ],
)
def test_impossible_arguments(folder, argument):
    with pytest.raises(ConfigError, match=r"|".join(argument)):
        Predictor.from_pretrained(folder, **argument)


def test_half_precision_answers_alike(folder, predictor):
    half = Predictor.from_pretrained(folder, device="cpu", precision="bf16").predict(TEXTS)
    whole = predictor.predict(TEXTS)
    same = [a.label == b.label for a, b in zip(half, whole, strict=True)]
    assert sum(same) >= len(TEXTS) - 2
    assert [a.probability for a in half] != [b.probability for b in whole]


def test_another_backend_is_any_callable(copy, monkeypatch):
    """What runs an exported model is only known by its answers."""
    loaded: list[Path] = []

    def load_onnx_model(folder, *, precision):
        assert precision == "auto"
        loaded.append(Path(folder))
        return lambda batch: np.tile(np.float32([0, 3, 0]), (len(batch["input_ids"]), 1))

    monkeypatch.setattr(loading, "load_onnx_model", load_onnx_model)
    (copy / "model.safetensors").unlink()  # an exported folder need not have it
    found = Predictor.from_pretrained(copy, backend="onnxruntime").predict(TEXTS)
    assert loaded == [copy]
    assert {answer.label for answer in found} == {LABELS[1]}
    assert found[0].probability == pytest.approx(softmax([0, 3, 0])[1])


# Tagging


def tagger(tokenizer, tags: dict[str, str], *, max_length: int = 64, labels=ENTITIES) -> Predictor:
    """A model that knows a tag for each piece, and nothing of its context."""
    by_id = {tokenizer.convert_tokens_to_ids(piece): tag for piece, tag in tags.items()}

    def session(batch):
        ids = batch["input_ids"]
        logits = np.zeros((*ids.shape, len(labels)), dtype="float32")
        for place in np.ndindex(*ids.shape):
            logits[(*place, labels.index(by_id.get(int(ids[place]), "O")))] = 4.0
        return logits

    return Predictor(
        session, tokenizer, label_names=labels, task="token", max_length=max_length, token_budget=99
    )


CHINESE_TAGS = {
    "张": "B-PER", "伟": "I-PER", "李": "B-PER", "娜": "I-PER",
    "北京": "B-ORG", "大学": "I-ORG",
}  # fmt: skip
ENGLISH_TAGS = {"▁Ann": "B-PER", "▁Wash": "B-LOC"}  # "ing" and "ton" are never tagged in training


def found_in(answer) -> list[tuple[str, str]]:
    return [(span.label, span.text) for span in answer.spans]


def test_spans_of_chinese_without_spaces():
    text = "张伟和李娜在北京大学读书，李娜去了Acme公司。"
    (answer,) = tagger(sentencepiece_tokenizer(), CHINESE_TAGS).predict([text])
    assert found_in(answer) == [
        ("PER", "张伟"), ("PER", "李娜"), ("ORG", "北京大学"), ("PER", "李娜"),
    ]  # fmt: skip
    for span in answer.spans:
        assert text[span.start : span.end] == span.text
    expected = softmax([4.0] + [0.0] * (len(ENTITIES) - 1))[0]
    assert answer.spans[0].probability == pytest.approx(expected)
    assert answer.spans[0].start == 0  # the bare ▁ before it takes nothing from it


def test_offsets_count_in_the_text_as_it_was_given():
    text = "\ufeff \t张\u200b伟\r\n在\u202e北京\u00ad大学读书😀 \u3000"
    (answer,) = tagger(sentencepiece_tokenizer(), CHINESE_TAGS).predict([text])
    assert found_in(answer) == [("PER", "张\u200b伟"), ("ORG", "北京\u00ad大学")]
    for span in answer.spans:
        assert text[span.start : span.end] == span.text


def test_an_english_word_is_tagged_by_its_first_piece():
    texts = ["Ann lives in Washington", "Ann lives in Washington， 李娜在北京大学"]
    tags = ENGLISH_TAGS | CHINESE_TAGS
    first, second = tagger(sentencepiece_tokenizer(), tags).predict(texts)
    assert found_in(first) == [("PER", "Ann"), ("LOC", "Washington")]
    assert found_in(second)[:3] == [("PER", "Ann"), ("LOC", "Washington"), ("PER", "李娜")]


def test_characters_cut_into_bytes_stay_whole():
    tokenizer = byte_tokenizer()
    first = tokenizer.tokenize("李")[0]
    assert len(tokenizer.tokenize("李")) == 3
    tags = {first: "B-PER", tokenizer.tokenize("娜")[0]: "I-PER"}
    (answer,) = tagger(tokenizer, tags).predict(["😀李娜😀。"])
    assert found_in(answer) == [("PER", "李娜")]


def test_long_texts_are_read_to_the_end():
    sentence = "张伟和李娜在北京大学读书，"
    text = sentence * 40
    whole, windowed = (
        tagger(sentencepiece_tokenizer(), CHINESE_TAGS, max_length=size).predict([text, sentence])
        for size in (5_000, 16)
    )
    assert windowed == whole
    assert len(whole[0].spans) == 120
    assert not windowed[0].truncated


def test_a_window_decides_where_it_sees_the_context():
    """Tokens at the edge of a window are tagged by a window in which they stand further inside."""
    tokenizer = sentencepiece_tokenizer()

    def timid(batch):
        logits = np.zeros((*batch["input_ids"].shape, len(ENTITIES)), dtype="float32")
        logits[..., ENTITIES.index("B-PER")] = 2.0  # wrong, wherever the context is missing
        logits[:, 4:-4, 0] = 4.0
        return logits

    found = Predictor(
        timid, tokenizer, label_names=ENTITIES, task="token", max_length=34, token_budget=1
    )
    (answer,) = found.predict(["读书" * 100])
    inside = [span for span in answer.spans if 4 <= span.start < 196]
    assert inside == []
    assert answer.spans  # the first and last tokens of the text have no other window


def test_tokens_get_one_tag_each():
    tokens = ["张", "伟", "在", "\u200b", "北京", "大学", "in", "Washington", "lives", "Ann"]
    tags = CHINESE_TAGS | ENGLISH_TAGS
    (answer,) = tagger(sentencepiece_tokenizer(), tags).predict([tokens])
    assert answer.tags == (
        "B-PER", "I-PER", "O", "O", "B-ORG", "I-ORG", "O", "B-LOC", "O", "B-PER",
    )  # fmt: skip
    assert [(s.label, s.start, s.end, s.text) for s in answer.spans] == [
        ("PER", 0, 2, "张伟"),
        ("ORG", 4, 6, "北京大学"),
        ("LOC", 7, 8, "Washington"),
        ("PER", 9, 10, "Ann"),
    ]


def test_a_piece_over_two_tokens_begins_no_second_entity():
    (answer,) = tagger(sentencepiece_tokenizer(), {"北京": "B-LOC"}).predict([["北", "京"]])
    assert answer.tags == ("B-LOC", "I-LOC")
    assert found_in(answer) == [("LOC", "北京")]


def test_tagging_takes_odd_rows():
    model = tagger(sentencepiece_tokenizer(), CHINESE_TAGS)
    found = model.predict([None, "", [], ["\u200b"], ["a", None], "\0", "😀", "？"])
    assert [bool(answer.error) for answer in found] == [True] * 6 + [False] * 2
    assert all(answer.spans == () for answer in found)


def test_a_saved_tagger(encoders, tmp_path):
    folder = save_classifier(encoders["bert"], tmp_path / "t", labels=ENTITIES, kind="Token")
    text = "房间很脏，服务员态度恶劣。"
    found = Predictor.from_pretrained(folder, device="cpu")
    assert found.task.name == "token"
    ids = logits_of(folder, [text], name="Token")[0, 1:-1].argmax(axis=-1)
    (answer,) = found.predict([list(text)])
    assert answer.tags == tuple(ENTITIES[position] for position in ids)  # a piece a character


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-A I-A O B-A", [(0, 2, "A"), (3, 4, "A")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A O I-B I-A", [(0, 2, "A"), (3, 4, "B"), (4, 5, "A")]),  # as the CoNLL scorer
        ("B-A I-B", [(0, 1, "A"), (1, 2, "B")]),
        ("B-A I-A E-A S-A B-B", [(0, 3, "A"), (3, 4, "A"), (4, 5, "B")]),  # BIOES
        ("B-A L-A U-A I-A", [(0, 2, "A"), (2, 3, "A"), (3, 4, "A")]),  # BILOU
        ("A A O B A", [(0, 2, "A"), (3, 4, "B"), (4, 5, "A")]),  # IO
        ("B-x-y I-x-y", [(0, 2, "x-y")]),
        ("O O", []),
    ],
)
def test_decoding_of_tags(tags, expected):
    tagged = [Tagged(i, i + 1, tag, 0.5) for i, tag in enumerate(tags.split())]
    spans = decode_spans(tagged, label_names=("O", *tags.split()))
    assert [(span.start, span.end, span.label) for span in spans] == expected


def test_parts_of_speech_are_not_joined():
    tagged = [Tagged(i, i + 1, "NOUN", 0.5) for i in range(3)]
    assert len(decode_spans(tagged, label_names=("NOUN", "VERB"))) == 3


@given(st.text(alphabet="a床 \t\r\n\u2028\u200b\u200d\x00\x0b\x85\u00ad😀👩", max_size=30))
def test_places_of_cleaned_characters(text):
    from xlingual.data.cleaning import clean_text

    cleaned = clean_text(text)
    places = list(align_characters(text, cleaned))
    assert places == sorted(set(places))
    for character, place in zip(cleaned, places, strict=True):
        assert text[place] == character or (text[place].isspace() and character.isspace())


def test_tokens_are_joined_as_people_write():
    tokens = ["Ann", "在", "北京", "and", "", "Bob", "，", "ok"]
    text, ranges = join_tokens(tokens)
    assert text == "Ann在北京and Bob，ok"
    assert [text[start:end] for start, end in ranges] == tokens
