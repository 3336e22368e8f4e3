"""A teacher's vectors as targets of the sentences of a batch, on the device of the student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xlingual.pretraining.alignment import align_tokens
from xlingual.pretraining.corpus import (
    EncodedCorpus,
    Sentences,
    distinct_sentences,
)
from xlingual.pretraining.ragged import RaggedRows
from xlingual.pretraining.sources import PretrainingSources
from xlingual.pretraining.teacher import Teacher
from xlingual.pretraining.teacher_cache import TeacherOutputs, cached_outputs

__all__ = ["TeacherTargets", "read_targets"]

_SAMPLE = 50_000  # vectors whose mean stands for that of all


class TeacherTargets:
    """Sentence vectors and aligned token vectors by the row of a sentence.

    The mean of its language is taken off each vector: it says which language a sentence is in,
    which is what a student of both is to forget, and it is most of what two vectors of a
    contrastively trained encoder have in common.

    Args:
        outputs: What the teacher says of each distinct sentence.
        sentences: These sentences.
        corpus: The same sentences, as the student reads them; with the spans of its tokens there
            are token targets too.
    """

    def __init__(
        self, outputs: TeacherOutputs, sentences: Sentences, corpus: EncodedCorpus
    ) -> None:
        device = corpus.tokens.values.device
        self.num_english = sentences.num_english
        self.pooled = torch.from_numpy(outputs.pooled).to(device)
        self.pooled_means = _means(outputs.pooled, self.num_english).to(device)
        self.tokens: RaggedRows | None = None
        if corpus.spans is None or outputs.tokens is None:
            return
        student, teacher = align_tokens(
            sentences.texts,
            (corpus.spans, corpus.tokens.lengths),
            (outputs.spans, outputs.lengths),
        )
        self.student_chunks = RaggedRows(torch.from_numpy(student), corpus.tokens.lengths)
        self.student_chunks = self.student_chunks.to(device)
        self.teacher_chunks = RaggedRows(torch.from_numpy(teacher), outputs.lengths).to(device)
        english_tokens = int(outputs.lengths[: self.num_english].sum())
        self.token_means = _means(outputs.tokens, english_tokens).to(device)
        self.tokens = RaggedRows(torch.from_numpy(outputs.tokens).to(device), outputs.lengths)

    @property
    def dim(self) -> int:
        """Width of the teacher."""
        return int(self.pooled.shape[1])

    def __call__(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """The targets of the sentences ``rows``.

        Returns:
            ``teacher_pooled`` of shape ``(batch, dim)``, of unit length, and where there are token
            targets ``teacher_tokens`` of shape ``(batch, length, dim)`` with ``teacher_chunks``
            and ``student_chunks``, the number of the chunk of each token or -1.
        """
        chosen = torch.from_numpy(rows).to(self.pooled.device, non_blocking=True)
        language = (chosen >= self.num_english).long()
        pooled = self.pooled[chosen].float() - self.pooled_means[language]
        targets = {"teacher_pooled": F.normalize(pooled, dim=-1)}
        if self.tokens is not None:
            tokens, _ = self.tokens.padded(rows, 0)
            targets["teacher_tokens"] = tokens.float() - self.token_means[language, None]
            targets["teacher_chunks"], _ = self.teacher_chunks.padded(rows, -1)
            targets["student_chunks"], _ = self.student_chunks.padded(rows, -1)
        return targets


def read_targets(
    teacher: Teacher,
    sources: PretrainingSources,
    corpus: EncodedCorpus,
    cache: str | Path,
    *,
    bf16: bool = False,
) -> TeacherTargets:
    """The targets of a teacher for the training pairs, computed on the device of the corpus.

    Args:
        teacher: The teacher.
        sources: Training pairs.
        corpus: The same pairs, as the student reads them; with the spans of its tokens there are
            token targets too.
        cache: Folder of the teacher's outputs; what is not there yet is computed.
        bf16: Run the teacher in bfloat16.

    Raises:
        ConfigError: The cache was made with another teacher, tokenizer or text, or the teacher
            does not read one of the languages.
        OutputError: The cache cannot be written.
    """
    sentences = distinct_sentences(sources.train)
    device = corpus.tokens.values.device
    on_gpu = device.type == "cuda"
    outputs = cached_outputs(
        teacher,
        sentences,
        cache,
        keeps_tokens=corpus.spans is not None,
        device=device,
        bf16=bf16,
        token_budget=131_072 if on_gpu else 16_384,
        save_every=1000 if on_gpu else 10,  # a pass is a minute there, and writing takes as long
    )
    return TeacherTargets(outputs, sentences, corpus)


def _means(vectors: NDArray[np.float16], num_english: int) -> Tensor:
    """Mean vector of each language, shape ``(2, dim)``."""
    parts = (vectors[:num_english], vectors[num_english:])
    means = [
        np.asarray(part[:: max(1, len(part) // _SAMPLE)], dtype=np.float32).mean(0)
        for part in parts
    ]
    return torch.from_numpy(np.stack(means))
