"""The scores as ``evaluate.Metric`` subclasses, for code that is built around that library.

``evaluate.load("f1")`` fetches a script from the network. These classes are part of the package
and work offline: they only collect batches and call the functions of ``scores.py``. They keep the
batches in memory, so neither a home folder nor a cache has to be writable.

``import evaluate`` takes seconds and pulls in torch; nothing else in ``xlingual.evaluation``
imports this module, and the package loads it when one of the classes is first asked for.

Example:
    >>> import evaluate
    >>> from xlingual.evaluation import Accuracy, MacroF1
    >>> metrics = evaluate.combine([Accuracy(), MacroF1()])
    >>> metrics.add_batch(references=[0, 1], predictions=[0, 1])
    >>> metrics.add_batch(references=[0, 1], predictions=[0, 0])
    >>> {key: round(value, 3) for key, value in metrics.compute().items()}
    {'accuracy': 0.75, 'macro_f1': 0.733}
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
import numpy.typing as npt
from datasets import Features, Sequence as SequenceFeature, Value

from xlingual.errors import ConfigError, DataError
from xlingual.evaluation.label_arrays import check_label_names, labelled_ids
from xlingual.evaluation.scores import (
    classification_scores,
    confusion_matrix,
    multi_label_scores,
)

__all__ = [
    "Accuracy",
    "ConfusionMatrix",
    "MacroF1",
    "MultiLabelF1",
    "PerClassF1",
    "TransferGap",
]

_ID_INPUTS = """
Args:
    predictions: predicted label ids, one integer per row.
    references: true label ids, one integer per row; rows with -100 are left out.
"""
_DOMAIN_INPUT = "    domain: 0 for a row of the source, 1 for a row of the target.\n"
_MULTI_HOT_INPUTS = """
Args:
    predictions: predicted labels, a list of 0 or 1 per row, one for each label.
    references: true labels, likewise; rows that are -100 throughout are left out.
"""


class _PackagedMetric(evaluate.Metric):
    """A metric that lives in this package and, in one process, writes nothing to disk.

    Args:
        label_names: The names, ordered by id; the per-class keys end in them, and they define the
            range of ids. ``None`` uses the numbers from 0 to the highest id that occurs.
        keep_in_memory: ``None`` means yes with one process. With ``num_process > 1`` the processes
            share files under ``cache_dir``, which must then be writable.
        num_process: Number of processes that add rows.
        **kwargs: Passed to ``evaluate.Metric``, such as ``cache_dir`` or ``experiment_id``.
    """

    summary = ""
    inputs = _ID_INPUTS

    def __init__(
        self,
        *,
        label_names: Sequence[str] | None = None,
        keep_in_memory: bool | None = None,
        num_process: int = 1,
        **kwargs: Any,
    ) -> None:
        self.label_names = None if label_names is None else check_label_names(label_names)
        if keep_in_memory is None:
            keep_in_memory = num_process == 1
        super().__init__(keep_in_memory=keep_in_memory, num_process=num_process, **kwargs)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.summary,
            citation="",
            inputs_description=self.inputs,
            features=self._features(),
        )

    def _features(self) -> Features:
        return Features({"predictions": Value("int64"), "references": Value("int64")})

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Add a batch of rows."""
        self._refuse_fractions(predictions=predictions, references=references)
        super().add_batch(predictions=predictions, references=references, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Add one row."""
        self._refuse_fractions(predictions=prediction, references=reference)
        super().add(prediction=prediction, reference=reference, **kwargs)

    def _refuse_fractions(self, **columns: Any) -> None:
        # datasets would silently truncate a probability of 0.7 to the id 0.
        for name, values in columns.items():
            is_id = self.features[name] == Value("int64")
            array = np.asarray(values)
            if is_id and array.size and array.dtype.kind == "f" and array.ndim < 2:
                raise DataError(
                    f"{name} must be integer label ids; got type {array.dtype}; take "
                    "logits.argmax(-1), or convert with .astype(int) if these are ids"
                )

    def _build_data_dir(self) -> str:
        # evaluate creates its cache folder even when it keeps everything in memory, and so fails
        # where the home folder is read-only.
        if self.keep_in_memory:
            return os.path.join(self._data_dir_root, self.name, self.config_name)
        return str(super()._build_data_dir())

    def _finalize(self) -> None:
        # Otherwise evaluate fails on its missing buffer, or on a missing column if it was given
        # empty lists. A process other than the first may well have no rows.
        if self.process_id == 0 and self.num_process == 1 and len(self) == 0:
            self.writer = None
            raise DataError(
                f"{self.name} has nothing to score; call add_batch, or pass references and "
                "predictions of at least one row to compute"
            )
        super()._finalize()

    def _names(self, references: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[str, ...]:
        if self.label_names is not None:
            return self.label_names
        ids = labelled_ids(references=references, predictions=predictions)
        return tuple(str(label_id) for label_id in range(int(np.max(ids)) + 1))

    def _scores(self, references: npt.ArrayLike, predictions: npt.ArrayLike) -> dict[str, float]:
        return classification_scores(
            references=references,
            predictions=predictions,
            label_names=self._names(references, predictions),
        )


class Accuracy(_PackagedMetric):
    """Share of rows whose label is right, under the key ``accuracy``."""

    summary = "Share of rows whose label is right."

    def _compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": self._scores(references, predictions)["accuracy"]}


class MacroF1(_PackagedMetric):
    """Unweighted mean of F1 over the labels in use, under the key ``macro_f1``."""

    summary = "Unweighted mean of F1 over the labels in the references or the predictions."

    def _compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        return {"macro_f1": self._scores(references, predictions)["macro_f1"]}


class PerClassF1(_PackagedMetric):
    """``precision_<name>``, ``recall_<name>`` and ``f1_<name>`` of every label."""

    summary = "Precision, recall and F1 of every label."

    def _compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        scores = self._scores(references, predictions)
        return {key: scores[key] for key in scores if key not in ("accuracy", "macro_f1")}


class ConfusionMatrix(_PackagedMetric):
    """Rows of each (true, predicted) pair, as nested lists that JSON can hold."""

    summary = "Counts of each pair of true label (down) and predicted label (across)."

    def _compute(self, *, predictions: Any, references: Any) -> dict[str, list[list[int]]]:
        num_labels = len(self._names(references, predictions))
        matrix = confusion_matrix(
            references=references, predictions=predictions, num_labels=num_labels
        )
        return {"confusion_matrix": matrix.tolist()}


class MultiLabelF1(_PackagedMetric):
    """All of ``multi_label_scores``: subset accuracy, macro-F1, micro-F1, per-class scores."""

    summary = "Subset accuracy, macro-F1, micro-F1 and per-class scores of multi-hot labels."
    inputs = _MULTI_HOT_INPUTS

    def _features(self) -> Features:
        # Floats, as in the data of multi-label training; the scores refuse all but 0 and 1.
        multi_hot = SequenceFeature(Value("float64"))
        return Features({"predictions": multi_hot, "references": multi_hot})

    def _compute(self, *, predictions: Any, references: Any) -> dict[str, float]:
        names = self.label_names or tuple(str(column) for column in range(len(references[0])))
        return multi_label_scores(references=references, predictions=predictions, label_names=names)


class TransferGap(_PackagedMetric):
    """Source score minus target score, from rows that carry the ``domain`` column.

    ``evaluate.combine(...).compute(domain=...)`` passes ``domain`` to every metric, and the others
    refuse it; in a combination use ``add_batch(..., domain=...)`` and a bare ``compute()``.

    Args:
        score: ``"accuracy"`` or ``"macro_f1"``.
        **kwargs: See the other metrics of this module, for example ``label_names``.

    Raises:
        ConfigError: ``score`` is neither of the two.
    """

    summary = "Score on the source rows minus score on the target rows."
    inputs = _ID_INPUTS + _DOMAIN_INPUT

    def __init__(self, *, score: str = "accuracy", **kwargs: Any) -> None:
        if score not in ("accuracy", "macro_f1"):
            raise ConfigError(f"score must be 'accuracy' or 'macro_f1'; got {score!r}")
        self.score = score
        super().__init__(**kwargs)

    def _features(self) -> Features:
        return Features({**super()._features(), "domain": Value("int64")})

    def _compute(self, *, predictions: Any, references: Any, domain: Any) -> dict[str, float]:
        predicted, true = np.asarray(predictions), np.asarray(references)
        domains = np.asarray(domain)
        if set(np.unique(domains)) != {0, 1}:
            raise DataError(
                "domain must hold both 0 (source) and 1 (target) and nothing else; "
                f"got {np.unique(domains).tolist()}; add rows of both sides"
            )
        source, target = (
            self._scores(true[domains == side], predicted[domains == side])[self.score]
            for side in (0, 1)
        )
        return {
            f"source_{self.score}": source,
            f"target_{self.score}": target,
            "transfer_gap": source - target,
        }
