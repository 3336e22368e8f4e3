"""The stages of a build, put together: tokenizer, stage 0, and what is kept of stage 1."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from numpy.typing import NDArray
from transformers import (
    ModernBertForMaskedLM as Encoder,
    PreTrainedTokenizerFast,
)

from xlingual.config.precision import has_bf16
from xlingual.data.bitext import Bitext
from xlingual.data.dictionary import simplified_characters
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.models.loading import load_masked_model
from xlingual.pretraining.corpus import EncodedCorpus, encode_bitexts
from xlingual.pretraining.encoder import build_encoder, retrieval_accuracy, save_encoder
from xlingual.pretraining.sources import PretrainingSources, sample_texts
from xlingual.pretraining.static import contrastive_embeddings, svd_embeddings
from xlingual.pretraining.tokenizer import train_tokenizer

__all__ = [
    "RetrievalLog",
    "encode_sources",
    "encode_text",
    "load_encoder",
    "make_accelerator",
    "start_encoder",
    "start_tokenizer",
]

logger = logging.getLogger(__name__)


def make_accelerator(precision: str = "auto") -> Accelerator:
    """An ``Accelerator``; ``"auto"`` is bfloat16 where the hardware multiplies it natively."""
    on_gpu = torch.cuda.is_available()
    if precision == "auto":
        precision = "bf16" if has_bf16(on_gpu) else "no"
    # A contrastive step without bag-of-words leaves the head without gradient.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    # Without cpu=True two processes on a machine without a GPU would not see each other.
    on_cpu = not on_gpu and not torch.backends.mps.is_available()
    return Accelerator(mixed_precision=precision, cpu=on_cpu, kwargs_handlers=[unused])


def load_encoder(path: str | Path) -> tuple[Encoder, PreTrainedTokenizerFast]:
    """Load a ModernBERT encoder with its masked-prediction head, in float32 for training.

    Raises:
        ModelLoadError: There is no such folder or hub id, or it is not a ModernBERT.
    """
    model = load_masked_model(str(path))
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"cannot load the tokenizer of {str(path)!r}: {error}") from error
    if not isinstance(model, Encoder):
        raise ModelLoadError(
            f"{str(path)!r} is a {model.config.model_type!r} model; expected a ModernBERT one, "
            "whose head and norms this recipe knows"
        )
    return model, tokenizer


def start_tokenizer(
    sources: PretrainingSources,
    folder: str | Path,
    *,
    encoder: str | Path | None = None,
    vocab_size: int = 18_000,
    max_chinese_characters: int = 4,
    seed: int = 0,
) -> PreTrainedTokenizerFast:
    """Load the tokenizer in ``folder``, or train one and save it there.

    Args:
        sources: Training pairs, dictionary and weights.
        folder: Where the tokenizer is, or will be.
        encoder: Folder or hub id of an encoder whose tokenizer is taken instead.
        vocab_size: Pieces of the tokenizer.
        max_chinese_characters: Longest Chinese piece.
        seed: Seed of the sample of text.

    Raises:
        ConfigError: A tokenizer is to be trained and there are no pairs.
        ModelLoadError: The encoder has none that can be loaded.
    """
    if encoder is not None:
        return load_encoder(encoder)[1]
    if (Path(folder) / "tokenizer.json").is_file():
        return PreTrainedTokenizerFast.from_pretrained(folder)
    if not sources.train:
        raise ConfigError(
            "a new encoder is built from sentence pairs: give --bitext or --dictionary, or "
            "--encoder to train an existing one further on monolingual text"
        )
    logger.info("training a tokenizer of %d pieces", vocab_size)
    tokenizer = train_tokenizer(
        sample_texts(sources.train, sources.weights, seed=seed),
        vocab_size=vocab_size,
        max_chinese_characters=max_chinese_characters,
        chinese_words={entry.simplified for entry in sources.entries} or None,
        characters=simplified_characters(sources.entries),
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def start_encoder(
    corpus: EncodedCorpus | None,
    tokenizer: PreTrainedTokenizerFast,
    path: str | Path,
    *,
    dim: int = 256,
    num_layers: int = 3,
    intermediate_size: int = 512,
    static_start: str = "svd",
    static_steps: int = 2000,
    seed: int = 0,
) -> Encoder:
    """Load the encoder at ``path``, or build stage 0 and save it there.

    Args:
        corpus: Training pairs; None to load only.
        tokenizer: The tokenizer of the pairs.
        path: Folder or hub id to load; folder to write where there is none.
        dim: Width of embeddings and layers.
        num_layers: Layers above the embeddings, without effect until stage 1 trains them.
        intermediate_size: Width of their gated MLP.
        static_start: ``"svd"`` or ``"random"``: start of the contrastive embeddings.
        static_steps: Contrastive steps; 0 leaves the start as it is.
        seed: Seed of the build.

    Raises:
        ModelLoadError: Nothing is to be built and nothing can be loaded.
    """
    if corpus is None or (Path(path) / "config.json").is_file():
        return load_encoder(path)[0]
    embeddings = _start(corpus, static_start, len(tokenizer), dim, seed)
    if static_steps:
        embeddings = contrastive_embeddings(
            corpus, embeddings, steps=static_steps, seed=seed, progress=True
        )
    model = build_encoder(
        tokenizer,
        embeddings,
        num_layers=num_layers,
        intermediate_size=intermediate_size,
        num_attention_heads=max(dim // 64, 1),
        seed=seed,
    )
    save_encoder(model, tokenizer, path)
    # Reload, so that a resumed build starts from the very same half-precision weights.
    return load_encoder(path)[0]


def _start(
    corpus: EncodedCorpus, kind: str, vocab_size: int, dim: int, seed: int
) -> NDArray[np.float32]:
    if kind == "svd":
        return svd_embeddings(corpus, vocab_size=vocab_size, dim=dim, seed=seed)
    if kind == "random":
        rng = np.random.default_rng(seed)
        return rng.standard_normal((vocab_size, dim)).astype(np.float32)
    raise ConfigError(f"static_start must be 'svd' or 'random', got {kind!r}")


def encode_sources(
    sources: PretrainingSources,
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_length: int = 64,
    with_spans: bool = False,
    device: torch.device | str = "cpu",
) -> EncodedCorpus | None:
    """The training pairs as a corpus with the sources' weights, or None without any."""
    if not sources.train:
        return None
    return encode_bitexts(
        sources.train,
        tokenizer,
        source_weights=sources.weights,
        max_length=max_length,
        with_spans=with_spans,
    ).to(device)


def encode_text(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerFast,
    *,
    max_length: int = 64,
    device: torch.device | str = "cpu",
) -> EncodedCorpus | None:
    """Monolingual sentences as a corpus for masked prediction, or None without any."""
    if not texts:
        return None
    bitext = Bitext("monolingual", list(texts), [""] * len(texts))
    return encode_bitexts([bitext], tokenizer, max_length=max_length).to(device)


class RetrievalLog:
    """Evaluate on held-out pairs, keep the best encoder, and remember the figures.

    Retrieval among held-out pairs needs no task label in either language and has thousands of
    rows, so choosing by it neither leaks nor is noise.

    Args:
        path: JSON Lines file; figures already in it belong to the run that is resumed.
        held_out: Held-out pairs of each source.
        tokenizer: Tokenizer of the encoder.
    """

    def __init__(
        self, path: Path, held_out: Sequence[Bitext], tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.path = path
        self.held_out = held_out
        self.tokenizer = tokenizer

    def save_if_best(self, model: Encoder, step: int, folder: Path) -> bool:
        """Save the encoder if no earlier one retrieved better, or if there are no held-out pairs.

        Returns:
            Whether it was saved.
        """
        row: dict[str, float] = {"step": step}
        for bitext in self.held_out:
            found = retrieval_accuracy(model.model, self.tokenizer, bitext)
            row[bitext.name] = (found["en_to_zh"] + found["zh_to_en"]) / 2
        row["mean"] = float(np.mean([row[b.name] for b in self.held_out])) if self.held_out else 0.0
        earlier = [old["mean"] for old in self.rows() if old["step"] < step]
        is_best = row["mean"] >= max(earlier, default=0.0)
        if is_best:
            save_encoder(model, self.tokenizer, folder)
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        logger.info("step %d: held-out retrieval %.4f", step, row["mean"])
        return is_best

    def rows(self) -> list[dict[str, float]]:
        """The figures so far, one dictionary a checkpoint."""
        if not self.path.is_file():
            return []
        return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]

    def table(self) -> str:
        """The figures as aligned text."""
        rows = self.rows()
        if not rows:
            return "no held-out pairs were evaluated"
        names = list(rows[0])
        lines = ["  ".join(f"{name[:12]:>12}" for name in names)]
        for row in rows:
            cells = [f"{row[n]:>12.0f}" if n == "step" else f"{100 * row[n]:>12.1f}" for n in names]
            lines.append("  ".join(cells))
        return "\n".join(lines)
