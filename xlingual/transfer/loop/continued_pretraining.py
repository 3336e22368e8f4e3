"""Continued pretraining: masked prediction on the user's text, for encoders with such a head.

Gururangan et al. (2020, "Don't Stop Pretraining"). Chinese words are masked whole where jieba is
installed (Cui et al. 2021): a masked character whose neighbour gives the word away teaches little.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments

from xlingual.config.presets import preset_for
from xlingual.errors import DataError, ModelLoadError
from xlingual.languages import HAN_CHARACTER
from xlingual.models.checks import check_model
from xlingual.models.loading import embedded_encoder, load_masked_model, load_tokenizer
from xlingual.models.parts import count_parameters
from xlingual.models.pypi_encoders import local_path
from xlingual.tasks import IGNORE_INDEX

__all__ = ["WholeWordCollator", "continue_pretraining", "word_numbers"]

logger = logging.getLogger(__name__)


def continue_pretraining(
    model_name_or_path: str | None,
    texts: Sequence[str],
    *,
    output_dir: str | Path,
    num_train_epochs: float = 5.0,
    learning_rate: float | None = None,
    masked_share: float = 0.15,
    batch_size: int = 32,
    max_length: int | None = None,
    bf16: bool = False,
    seed: int = 0,
    revision: str | None = None,
    model: Any = None,
    resume: bool = True,
) -> str:
    """Train an encoder further by masked prediction, and save it as a folder to fine-tune from.

    Chinese text alone erodes the alignment of the two languages: add about the same amount of
    source text.

    Args:
        model_name_or_path: Folder or hub id with a masked-prediction head; None: the embedded one.
        texts: Sentences or documents of both languages.
        output_dir: The encoder goes here; checkpoints too, so that a killed run resumes.
        num_train_epochs: Passes over the texts.
        learning_rate: Peak learning rate; None: 5e-5, or 3e-4 for an encoder of under 10 million
            parameters without its embeddings.
        masked_share: Share of the tokens to predict.
        batch_size: Texts in a batch.
        max_length: Tokens per text; None: 128, or what the model can read if that is less.
        bf16: Compute in bfloat16.
        seed: Seed of order and masks.
        revision: Branch, tag or commit on the hub.
        model: A model to train instead of loading one, for example with a language adapter on it.
        resume: Whether to resume from the last checkpoint in ``output_dir``, if there is one. If
            not, checkpoints found there are removed.

    Returns:
        ``output_dir``.

    Raises:
        DataError: There is no text.
        ModelLoadError: The model has no masked-prediction head, or cannot be loaded.
        ConfigError: ``max_length`` is beyond the positions of the model.
    """
    texts = [text for text in texts if text and text.strip()]
    if not texts:
        raise DataError("continued pretraining needs text; got none")
    path = local_path(model_name_or_path) or embedded_encoder()
    if model is None:
        model = load_masked_model(path, revision=revision)
    tokenizer = load_tokenizer(path, revision=revision)
    if tokenizer.mask_token_id is None:
        raise ModelLoadError(f"{path} has no mask token; expected a masked language model")
    max_length = check_model(model, tokenizer, max_length=max_length)
    if learning_rate is None:
        embeddings = count_parameters(model.get_input_embeddings())
        size = count_parameters(model) - embeddings
        learning_rate = 3e-4 if preset_for(size).name == "tiny" else 5e-5
    args = TrainingArguments(
        output_dir=str(output_dir),
        num_train_epochs=num_train_epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=batch_size,
        warmup_steps=0.06,
        weight_decay=0.01,
        save_strategy="epoch",
        save_total_limit=1,
        logging_steps=50,
        report_to="none",
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        train_sampling_strategy="group_by_length",
        remove_unused_columns=False,
        seed=seed,
    )
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=_tokenized(texts, tokenizer, max_length),
        data_collator=WholeWordCollator(tokenizer, masked_share=masked_share),
        processing_class=tokenizer,
    )
    goes_on = _finds_checkpoint(trainer, Path(output_dir), resume=resume)
    with _sparse_prediction(model):
        trainer.train(resume_from_checkpoint=True if goes_on else None)
    trainer.save_model()
    return str(output_dir)


def _finds_checkpoint(trainer: Trainer, folder: Path, *, resume: bool) -> bool:
    """Whether there is a checkpoint to resume from; without ``resume`` they are removed."""
    checkpoints = list(folder.glob("checkpoint-*"))
    if resume:
        return any((checkpoint / "trainer_state.json").is_file() for checkpoint in checkpoints)
    if trainer.is_world_process_zero():  # they belong to a run with other settings
        for checkpoint in checkpoints:
            shutil.rmtree(checkpoint)
    trainer.accelerator.wait_for_everyone()
    return False


@contextmanager
def _sparse_prediction(model: Any) -> Iterator[None]:
    """Compute scores over the vocabulary for masked tokens only, where the model can."""
    can_be_sparse = getattr(model.config, "sparse_prediction", None) is False
    if can_be_sparse:
        model.config.sparse_prediction = model.sparse_prediction = True
    try:
        yield
    finally:
        if can_be_sparse:
            model.config.sparse_prediction = model.sparse_prediction = False


def _tokenized(texts: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """Token ids with the number of the word that each token belongs to."""

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        encoded = tokenizer(
            batch["text"],
            truncation=True,
            max_length=max_length,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
        )
        words = [
            word_numbers(text, offsets, special)
            for text, offsets, special in zip(
                batch["text"],
                encoded["offset_mapping"],
                encoded["special_tokens_mask"],
                strict=True,
            )
        ]
        ids = encoded["input_ids"]
        return {"input_ids": ids, "words": words, "length": [len(row) for row in ids]}

    rows = Dataset.from_dict({"text": texts})
    return rows.map(
        tokenize,
        batched=True,
        remove_columns=["text"],
        load_from_cache_file=False,
        desc="Tokenising",
    )


def word_numbers(
    text: str, offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> list[int]:
    """The word number of each token: -1 for special tokens; Chinese words by jieba if installed.

    Tokens and words are matched by character offset, since a piece of a multilingual vocabulary
    may span two words; such a piece belongs to the first.
    """
    starts = _word_starts(text)
    numbers = np.cumsum(starts) if len(text) else np.zeros(0, dtype=int)
    return [
        -1 if is_special or not len(text) else int(numbers[min(begin, len(text) - 1)])
        for (begin, _), is_special in zip(_visible(text, offsets), special, strict=True)
    ]


def _visible(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets without the space that SentencePiece attaches to the following word."""
    moved = []
    for begin, end in offsets:
        while begin < end - 1 and text[begin].isspace():
            begin += 1
        moved.append((begin, end))
    return moved


def _word_starts(text: str) -> NDArray[np.bool_]:
    """Whether a word starts at each character."""
    starts = np.zeros(len(text), dtype=bool)
    if _has_jieba():
        import jieba

        jieba.setLogLevel(logging.WARNING)
        for _, begin, _ in jieba.tokenize(text):
            starts[begin] = True
    else:
        han = _han(text)
        spaces = np.array([character.isspace() for character in text], dtype=bool)
        after_space = np.concatenate([[True], spaces[:-1]]) if len(text) else spaces
        after_han = np.concatenate([[True], han[:-1]]) if len(text) else han
        starts = han | after_space | (after_han & ~han)
    if len(starts):
        starts[0] = True
    return starts


def _han(text: str) -> NDArray[np.bool_]:
    return np.array([bool(HAN_CHARACTER.match(character)) for character in text], dtype=bool)


def _has_jieba() -> bool:
    return importlib.util.find_spec("jieba") is not None


class WholeWordCollator:
    """Masks whole words: 80% masked, 10% another token, 10% unchanged (Devlin et al. 2019).

    Args:
        tokenizer: Its mask and padding tokens are used.
        masked_share: Share of the tokens to predict.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, masked_share: float = 0.15) -> None:
        self.tokenizer = tokenizer
        self.masked_share = masked_share

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """``input_ids``, ``attention_mask`` and ``labels`` (-100 where nothing is predicted)."""
        length = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), length), int(self.tokenizer.pad_token_id or 0))
        attention = torch.zeros_like(ids)
        chosen = torch.zeros(ids.shape, dtype=torch.bool)
        for number, row in enumerate(rows):
            size = len(row["input_ids"])
            ids[number, :size] = torch.tensor(row["input_ids"])
            attention[number, :size] = 1
            chosen[number, :size] = self._chosen(torch.tensor(row["words"]))
        labels = torch.where(chosen, ids, IGNORE_INDEX)
        fate = torch.rand(ids.shape)
        ids = torch.where(chosen & (fate < 0.8), int(self.tokenizer.mask_token_id), ids)
        other = torch.randint(len(self.tokenizer), ids.shape)
        ids = torch.where(chosen & (fate >= 0.9), other, ids)
        return {"input_ids": ids, "attention_mask": attention, "labels": labels}

    def _chosen(self, words: torch.Tensor) -> torch.Tensor:
        """Draw words in random order until their tokens make up the share."""
        numbers = words[words >= 0].unique()
        wanted = max(1, round(self.masked_share * int((words >= 0).sum())))
        chosen = torch.zeros(len(words), dtype=torch.bool)
        for number in numbers[torch.randperm(len(numbers))].tolist():
            if int(chosen.sum()) >= wanted:
                break
            chosen |= words == number
        return chosen
