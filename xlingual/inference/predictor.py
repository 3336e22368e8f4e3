"""``Predictor``: labels, probabilities and spans from a saved model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from xlingual.data.readers.cleaning import UnusableRowError
from xlingual.errors import ConfigError
from xlingual.inference.batches import Encoded, Session, run_batches
from xlingual.inference.classifier_loading import Classifier, load_classifier
from xlingual.inference.results import Prediction
from xlingual.inference.spans import (
    Piece,
    align_characters,
    decode_spans,
    join_tokens,
    tag_ranges,
    tag_words,
)
from xlingual.inference.text_encoding import Text, encode_texts, read_row
from xlingual.inference.windows import encode_windows, merge_windows
from xlingual.tasks import Task, get_task

__all__ = ["Predictor"]

_CHUNK_SIZE = 8_192  # rows that are tokenised and sorted by length together
_NO_LOGITS = "the model's logits are not finite; in half precision they may overflow"


class Predictor:
    r"""Labels, calibrated probabilities and spans from a saved model.

    Texts are cleaned, tokenised and truncated exactly as in training. Probabilities are

    .. math:: \mathrm{softmax}(z / T)

    (:math:`\sigma(z / T)` for multi-label) with the temperature :math:`T` that was fitted after
    training (Guo et al. 2017), read from ``calibration.json``; 1 where there is none. Rows are
    sorted by length, run in batches under a token budget, and returned in their own order.

    Args:
        session: Takes int64 arrays of (rows, length) by input name, returns float32 logits.
        tokenizer: A fast tokenizer with a padding token.
        label_names: Names in the order of the logits.
        task: ``"sequence"``, ``"multi_label"`` or ``"token"``; a sequence model also takes pairs.
        calibration_temperature: T.
        max_length: Tokens per row, special tokens included.
        token_budget: Upper limit of rows x longest row of a batch. 1,024 keeps a CPU busy and fits
            its caches; a GPU needs more.
        takes_pairs: Whether the model was trained on pairs; ``None``: not known.
        folder: Folder of the model, by which a resumed file is checked.

    Raises:
        ConfigError: A budget or temperature that is not above 0.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: PreTrainedTokenizerBase,
        *,
        label_names: Sequence[str],
        task: str | Task = "sequence",
        calibration_temperature: float = 1.0,
        max_length: int = 128,
        token_budget: int = 1_024,
        takes_pairs: bool | None = None,
        folder: Path | None = None,
    ) -> None:
        if token_budget < 1 or not calibration_temperature > 0:
            raise ConfigError(
                "token_budget and calibration_temperature must be above 0; "
                f"got {token_budget} and {calibration_temperature}"
            )
        self.session = session
        self.tokenizer = tokenizer
        self.label_names = tuple(label_names)
        self.task = get_task(task) if isinstance(task, str) else task
        self.calibration_temperature = calibration_temperature
        self.max_length = max_length
        self.token_budget = token_budget
        self.takes_pairs = takes_pairs
        self.folder = folder
        if self.task.name == "token" and not tokenizer.is_fast:
            raise ConfigError("tagging needs the character offsets of a fast tokenizer")

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: str | Path,
        *,
        revision: str | None = None,
        device: str | None = None,
        backend: str = "torch",
        max_length: int | None = None,
        token_budget: int | None = None,
        precision: str = "auto",
    ) -> Predictor:
        """Load a model that classifies or tags, with or without an adapter.

        Any folder of transformers with a trained classification head works. Weights are read from
        safetensors only, and no code that comes with a model is ever run.

        Args:
            folder_or_hub_id: A folder, or an id on the hub (``HF_ENDPOINT`` and ``HF_HUB_OFFLINE``
                are honoured).
            revision: Branch, tag or commit on the hub.
            device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``None``: the GPU if there is
                one.
            backend: ``"torch"``, or ``"onnxruntime"`` for an exported folder.
            max_length: Tokens per row; ``None``: as in training, or what the model can read.
            token_budget: Tokens per batch; ``None``: 1,024, on a GPU 65,536.
            precision: ``"auto"`` (bfloat16 on a GPU that supports it, else float32), ``"fp32"``,
                ``"bf16"`` or ``"fp16"``; with onnxruntime ``"auto"`` (fp32, or int8 if there is no
                fp32), ``"fp32"`` or ``"int8"``.

        Raises:
            ModelLoadError: There is no such model, its weights are pickled, or an adapter's base is
                missing or does not fit.
            ConfigError: An invalid argument.

        Example:
            >>> predictor = Predictor.from_pretrained("xlingual-output")  # doctest: +SKIP
            >>> predictor.predict(["房间很干净。"])[0].label  # doctest: +SKIP
            'positive'
        """
        loaded = load_classifier(
            folder_or_hub_id,
            revision=revision,
            device=device,
            backend=backend,
            precision=precision,
            max_length=max_length,
        )
        if token_budget is None:
            device_type = getattr(getattr(loaded.session, "device", None), "type", "cpu")
            token_budget = 65_536 if device_type == "cuda" else 1_024
        return cls.of(loaded, token_budget=token_budget)

    @classmethod
    def of(cls, classifier: Classifier, *, token_budget: int = 1_024) -> Predictor:
        """A predictor with the session, the tokenizer and the settings of a loaded classifier."""
        return cls(
            classifier.session,
            classifier.tokenizer,
            label_names=classifier.label_names,
            task=classifier.task,
            calibration_temperature=classifier.calibration_temperature,
            max_length=classifier.max_length,
            token_budget=token_budget,
            takes_pairs=classifier.takes_pairs,
            folder=classifier.folder,
        )

    def predict(
        self, rows: Iterable[Any], *, text_pairs: Sequence[str | None] | None = None
    ) -> list[Prediction]:
        """Predict every row, in the order of the rows.

        A row that is ``None``, empty, of invisible characters only, or not text has no prediction:
        its ``label`` is ``None`` and ``error`` says why. The other rows are not affected.

        Args:
            rows: Texts, ``(text, text_pair)`` tuples, or for tagging texts or lists of tokens.
            text_pairs: The second texts, one for each row.

        Raises:
            ConfigError: One string instead of a list, or not exactly one second text per row.
        """
        if isinstance(rows, str):
            raise ConfigError("predict takes a list of texts; got one string: put it in a list")
        rows = list(rows)
        if text_pairs is not None:
            if len(text_pairs) != len(rows):
                raise ConfigError(
                    f"text_pairs must hold one text per row; got {len(text_pairs)} for {len(rows)} "
                    "rows"
                )
            rows = list(zip(rows, text_pairs, strict=True))
        chunks = (rows[start : start + _CHUNK_SIZE] for start in range(0, len(rows), _CHUNK_SIZE))
        return [prediction for chunk in chunks for prediction in self._predict_chunk(chunk)]

    def _predict_chunk(self, rows: Sequence[Any]) -> list[Prediction]:
        predictions = [Prediction()] * len(rows)
        usable: dict[int, Text] = {}
        for position, row in enumerate(rows):
            try:
                usable[position] = read_row(row, are_tokens=self.task.name == "token")
            except UnusableRowError as reason:
                predictions[position] = Prediction(error=str(reason))
        answer = self._tag if self.task.name == "token" else self._classify
        for position, prediction in zip(usable, answer(list(usable.values())), strict=True):
            predictions[position] = prediction
        return predictions

    def _run(self, encoded: Sequence[Encoded]) -> list[np.ndarray]:
        return run_batches(
            self.session, encoded, tokenizer=self.tokenizer, budget=self.token_budget
        )

    def _classify(self, rows: Sequence[Text]) -> list[Prediction]:
        if not rows:
            return []
        encoded, truncated = encode_texts(
            self.tokenizer, [row.texts for row in rows], max_length=self.max_length
        )
        logits = np.stack(self._run(encoded)).astype(np.float64)
        probs = self.task.probabilities(logits / self.calibration_temperature)
        is_finite = [bool(np.isfinite(row).all()) for row in logits]
        return [
            replace(self._name(p), truncated=is_cut) if finite else Prediction(error=_NO_LOGITS)
            for p, is_cut, finite in zip(probs, truncated, is_finite, strict=True)
        ]

    def _name(self, probs: np.ndarray) -> Prediction:
        by_name = dict(zip(self.label_names, probs.tolist(), strict=True))
        best = int(probs.argmax())
        labels: tuple[str, ...] = ()
        if self.task.name == "multi_label":
            labels = tuple(name for name, probability in by_name.items() if probability > 0.5)
            if not labels:
                return Prediction(probabilities=by_name)
        return Prediction(
            label=self.label_names[best],
            probability=float(probs[best]),
            probabilities=by_name,
            labels=labels,
        )

    def _tag(self, rows: Sequence[Text]) -> list[Prediction]:
        if not rows:
            return []
        windows = encode_windows(
            self.tokenizer, [row.texts[0] for row in rows], max_length=self.max_length
        )
        logits = self._run([window.encoded for window in windows])
        pieces = merge_windows(windows, logits, num_rows=len(rows), probabilities=self._probs)
        return [
            Prediction(error=_NO_LOGITS)
            if any(np.isnan(piece.probs).any() for piece in found)
            else self._spans(row, found)
            for row, found in zip(rows, pieces, strict=True)
        ]

    def _probs(self, logits: np.ndarray) -> np.ndarray:
        return self.task.probabilities(logits.astype(np.float64) / self.calibration_temperature)

    def _spans(self, row: Text, pieces: Sequence[Piece]) -> Prediction:
        text = row.texts[0]
        names = self.label_names
        if row.tokens:
            tagged = tag_ranges(pieces, row.ranges, label_names=names)
            spans = [
                replace(span, text=join_tokens(row.tokens[span.start : span.end])[0])
                for span in decode_spans(tagged, label_names=names)
            ]
            return Prediction(spans=tuple(spans), tags=tuple(item.tag for item in tagged))
        places = align_characters(row.original, text)
        spans = []
        for span in decode_spans(tag_words(text, pieces, label_names=names), label_names=names):
            start, end = places[span.start], places[span.end - 1] + 1
            spans.append(replace(span, start=start, end=end, text=row.original[start:end]))
        return Prediction(spans=tuple(spans))
