"""Joint training data: several weighted sources and targets in one data set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from datasets import Dataset, concatenate_datasets

from xlingual.errors import DataError
from xlingual.tasks import SOURCE, TARGET

__all__ = ["mix_domains"]

# A set without one of these columns gets an empty one; any other column must be in all sets.
_OPTIONAL_COLUMNS = {"label", "labels", "tags", "soft_labels", "view_text", "view_text_pair"}


def mix_domains(
    sources: Mapping[str, Dataset],
    targets: Mapping[str, Dataset] | None = None,
    *,
    source_weights: Mapping[str, float] | None = None,
    target_weights: Mapping[str, float] | None = None,
) -> Dataset:
    r"""Concatenate data sets; each row carries its domain and its weight in the loss.

    .. math:: L = \frac{1}{N} \sum_d \lambda_d \sum_{i \in d} w_i \, \ell_i

    where :math:`\lambda_d` is the weight of data set *d*, :math:`w_i` that of the row (its
    ``weight`` column, 1 if it has none) and *N* the number of labelled rows in the batch. Source
    and target rows share a batch and a forward pass, which is safe under DDP and FSDP.

    Args:
        sources: Source data sets by name, all in the same canonical columns.
        targets: Target data sets by name.
        source_weights: :math:`\lambda_d` of the sources by name; 1 where a name is missing.
        target_weights: The same for the targets.

    Returns:
        One data set with the columns that all sets have in common, the label and view columns that
        any set has (``None`` in the rows of the others), ``domain`` (0 source, 1 target),
        ``domain_name`` and ``weight``.

    Raises:
        DataError: There is no data set, a weight is not positive, or a weight has no data set.
    """
    groups = (
        (SOURCE, sources, source_weights or {}),
        (TARGET, targets or {}, target_weights or {}),
    )
    for _, sets, weights in groups:
        _check_weights(weights, sets)
    parts = [
        _tag(dataset, domain=domain, name=name, weight=weights.get(name, 1.0))
        for domain, sets, weights in groups
        for name, dataset in sets.items()
    ]
    if not parts:
        raise DataError("mix_domains needs at least one data set; got none")
    parts = _missing_as_none(parts)
    common = set.intersection(*(set(part.column_names) for part in parts))
    return concatenate_datasets(
        [part.select_columns([c for c in parts[0].column_names if c in common]) for part in parts]
    )


def _check_weights(weights: Mapping[str, float], sets: Mapping[str, Dataset]) -> None:
    unknown = sorted(weights.keys() - sets.keys())
    if unknown:
        raise DataError(
            f"got weights for unknown data sets: {', '.join(unknown)}; "
            f"expected names among: {', '.join(sets) or 'none'}"
        )
    bad = {name: weight for name, weight in weights.items() if not 0 < weight < math.inf}
    if bad:
        raise DataError(f"weights of data sets must be positive; got {bad}")


def _missing_as_none(parts: list[Dataset]) -> list[Dataset]:
    """Give sets without labels or views an empty column, so that the others keep theirs."""
    labels = {
        column: part.features[column]
        for part in parts
        for column in _OPTIONAL_COLUMNS & set(part.column_names)
    }
    for column, feature in labels.items():
        parts = [
            part
            if column in part.column_names
            else part.add_column(column, [None] * len(part), feature=feature)
            for part in parts
        ]
    return parts


def _tag(dataset: Dataset, *, domain: int, name: str, weight: float) -> Dataset:
    rows = len(dataset)
    row_weights = dataset["weight"] if "weight" in dataset.column_names else [1.0] * rows
    replaced = {"domain", "domain_name", "weight"} & set(dataset.column_names)
    return (
        dataset.remove_columns(sorted(replaced))
        .add_column("domain", [domain] * rows)
        .add_column("domain_name", [name] * rows)
        .add_column("weight", [weight * float(w) for w in row_weights])
    )
