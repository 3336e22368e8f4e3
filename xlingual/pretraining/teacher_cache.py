"""The vectors of a teacher for every sentence of a corpus, computed once and kept on disk.

Half precision, memory-mapped. A pass that was killed goes on where it stopped, and a folder that
was made with another teacher, tokenizer or text is refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from xlingual.errors import ConfigError, OutputError
from xlingual.pretraining.corpus import Sentences
from xlingual.pretraining.teacher import Teacher

__all__ = ["TeacherOutputs", "cached_outputs"]

logger = logging.getLogger(__name__)

_FINGERPRINT, _PROGRESS = "fingerprint.json", "progress.json"
_WORDS = {
    "teacher": "another teacher",
    "tokenizer": "another tokenizer of the teacher",
    "texts": "other text",
    "prefix": "another prefix",
    "pooling": "another pooling",
    "max_length": "another length",
    "keeps_tokens": "other targets (with or without those of tokens)",
}


@dataclass(frozen=True)
class TeacherOutputs:
    """The teacher's outputs for each distinct sentence.

    Attributes:
        pooled: Sentence vectors of unit length, float16, shape ``(sentences, dim)``.
        tokens: Vectors of the tokens that stand for characters, float16, shape ``(total, dim)``;
            None where they were not asked for.
        spans: Characters ``[start, end)`` of these tokens, shape ``(total, 2)``.
        lengths: Number of these tokens of each sentence, shape ``(sentences,)``.
    """

    pooled: NDArray[np.float16]
    tokens: NDArray[np.float16] | None
    spans: NDArray[np.int32]
    lengths: NDArray[np.int64]


def cached_outputs(
    teacher: Teacher,
    sentences: Sentences,
    folder: str | Path,
    *,
    keeps_tokens: bool = True,
    device: torch.device | str = "cpu",
    bf16: bool = False,
    token_budget: int = 16_384,
    save_every: int = 10,
    stop_after: int | None = None,
) -> TeacherOutputs:
    """Read the outputs of a teacher from ``folder``, after computing what is not there yet.

    Args:
        teacher: The teacher.
        sentences: Distinct sentences.
        folder: Where the outputs are kept.
        keeps_tokens: Whether the vectors of tokens are kept too, which take most of the space:
            768 bytes for each token of a teacher of width 384.
        device: Where to compute.
        bf16: Compute in bfloat16.
        token_budget: Tokens of a batch, padding included.
        save_every: Batches after which a killed pass goes on.
        stop_after: Stop after so many batches; what a killed pass looks like.

    Raises:
        ConfigError: The folder holds outputs of another teacher, tokenizer or text, or the teacher
            does not read one of the languages.
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    texts, num_english = sentences.texts, sentences.num_english
    teacher.check_languages(English=texts[:num_english], Chinese=texts[num_english:])
    fingerprint = {
        **teacher.fingerprint(),
        "texts": _digest(texts),
        "keeps_tokens": str(keeps_tokens),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_fingerprint(folder, fingerprint)
        if not _read_json(folder / _PROGRESS).get("is_complete"):
            _Pass(teacher, texts, folder, keeps_tokens=keeps_tokens).run(
                device,
                bf16=bf16,
                token_budget=token_budget,
                save_every=save_every,
                stop_after=stop_after,
            )
    except OSError as error:
        raise OutputError(
            f"the outputs of the teacher cannot be written to {folder} ({error}); free space, or "
            "name another folder with --teacher_cache"
        ) from error
    return TeacherOutputs(
        np.load(folder / "pooled.npy", mmap_mode="r+"),
        np.load(folder / "tokens.npy", mmap_mode="r+") if keeps_tokens else None,
        np.load(folder / "spans.npy"),
        np.load(folder / "lengths.npy"),
    )


class _Pass:
    """The teacher over all sentences, the short ones first.

    Batches follow from the texts and the rows that are done, so a resumed pass makes the same ones.
    """

    def __init__(
        self, teacher: Teacher, texts: Sequence[str], folder: Path, *, keeps_tokens: bool
    ) -> None:
        logger.info("tokenising %d sentences for the teacher", len(texts))
        self.teacher = teacher
        self.folder = folder
        self.sentences = teacher.tokenise(texts)
        lengths = self.sentences.lengths
        self.starts = np.cumsum(lengths) - lengths
        np.save(folder / "spans.npy", self.sentences.spans)
        np.save(folder / "lengths.npy", lengths)
        self.pooled = _array(folder / "pooled.npy", (len(texts), teacher.dim))
        self.tokens = None
        if keeps_tokens:
            self.tokens = _array(folder / "tokens.npy", (int(lengths.sum()), teacher.dim))

    def run(
        self,
        device: torch.device | str,
        *,
        bf16: bool,
        token_budget: int,
        save_every: int,
        stop_after: int | None,
    ) -> None:
        ids, is_content = self.sentences.ids.to(device), self.sentences.is_content.to(device)
        pad_id = int(self.teacher.tokenizer.pad_token_id or 0)
        done = _read_json(self.folder / _PROGRESS).get("done", 0)
        batches = _batches(ids.lengths, token_budget, done=done)
        self.teacher.model.to(device)
        for number, rows in enumerate(tqdm(batches, desc="teacher"), start=1):
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
                hidden, pooled = self.teacher.encode(*ids.padded(rows, pad_id))
            self._write(rows, pooled, hidden[is_content.padded(rows, 0)[0].bool()])
            done += len(rows)
            if number % save_every == 0:
                self._save(done)
            if number == stop_after:
                return
        self._save(done, is_complete=True)
        self.teacher.model.to("cpu")

    def _write(self, rows: NDArray[np.int64], pooled: Tensor, tokens: Tensor) -> None:
        self.pooled[rows] = pooled.half().cpu().numpy()
        if self.tokens is None:
            return
        lengths = self.sentences.lengths[rows]
        before = np.cumsum(lengths) - lengths
        where = np.arange(len(tokens)) + np.repeat(self.starts[rows] - before, lengths)
        self.tokens[where] = tokens.half().cpu().numpy()

    def _save(self, done: int, *, is_complete: bool = False) -> None:
        self.pooled.flush()
        if self.tokens is not None:
            self.tokens.flush()
        _write_json(self.folder / _PROGRESS, {"done": done, "is_complete": is_complete})


def _batches(
    lengths: NDArray[np.int64], token_budget: int, *, done: int = 0
) -> list[NDArray[np.int64]]:
    """Rows in order of length, as many in a batch as fit the budget when padded.

    The first ``done`` rows in that order are left out.
    """
    order = np.argsort(lengths, kind="stable")[done:]
    batches, begin = [], 0
    for at in range(len(order)):
        if (at + 1 - begin) * lengths[order[at]] > token_budget and at > begin:
            batches.append(order[begin:at])
            begin = at
    return [*batches, order[begin:]] if len(order) else []


def _array(path: Path, shape: tuple[int, int]) -> np.memmap:
    """The array at ``path`` if a pass has begun it, else a new one."""
    if path.is_file() and (path.parent / _PROGRESS).is_file():
        return open_memmap(path, mode="r+")
    return open_memmap(path, mode="w+", dtype=np.float16, shape=shape)


def _check_fingerprint(folder: Path, fingerprint: dict[str, str]) -> None:
    found = _read_json(folder / _FINGERPRINT)
    if not found:
        _write_json(folder / _FINGERPRINT, fingerprint)
        return
    others = [_WORDS[name] for name, value in fingerprint.items() if found.get(name) != value]
    if others:
        raise ConfigError(
            f"the teacher cache {folder} was made with {', '.join(others)}; name another folder "
            "with --teacher_cache, or delete this one"
        )


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)
