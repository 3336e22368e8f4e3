"""Changes to the output layer, so that the saved model itself contains a correction."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from xlingual.errors import ConfigError, DataError
from xlingual.models.features import output_layer

__all__ = ["set_output_layer", "shift_output_bias"]


def shift_output_bias(model: nn.Module, shift: ArrayLike) -> None:
    r"""Add to the bias of the output layer, in place: :math:`W f + b + s`.

    Adding a constant to all logits does not change their softmax, so only the differences within
    ``shift`` matter. A model shifted for the target is for target text only; keep the unshifted
    one, or its scores, for the source.

    Args:
        model: A classification model, with or without an adapter.
        shift: Shape ``(num_labels,)``: a log ratio of priors, or ``centring_shift``.

    Raises:
        ConfigError: The model has no output layer, or one without a bias.
        DataError: The shape is wrong, or a value is not finite.
    """
    layer = output_layer(model)
    values = np.asarray(shift, dtype=float)
    if values.shape != (layer.out_features,) or not np.isfinite(values).all():
        raise DataError(
            f"expected {layer.out_features} finite numbers, one per label; got shape "
            f"{values.shape}: {values.tolist()}"
        )
    if layer.bias is None:
        raise ConfigError(
            f"the output layer of {type(model).__name__} has no bias to shift; correct its "
            "probabilities instead"
        )
    with torch.no_grad():
        layer.bias.add_(torch.as_tensor(values).to(layer.bias))


def set_output_layer(model: nn.Module, weight: ArrayLike, bias: ArrayLike) -> None:
    """Write a linear map that was fitted elsewhere into the output layer, in place.

    Args:
        model: A classification model whose features the map was fitted on.
        weight: Shape ``(num_labels, hidden)``.
        bias: Shape ``(num_labels,)``.

    Raises:
        ConfigError: The model has no output layer, or one without a bias.
        DataError: The shapes are not the layer's, or a value is not finite.
    """
    layer = output_layer(model)
    matrix, values = np.asarray(weight, dtype=float), np.asarray(bias, dtype=float)
    shapes = (layer.out_features, layer.in_features), (layer.out_features,)
    if (matrix.shape, values.shape) != shapes or not (
        np.isfinite(matrix).all() and np.isfinite(values).all()
    ):
        raise DataError(
            f"expected finite weight and bias of shapes {shapes[0]} and {shapes[1]}; got "
            f"{matrix.shape} and {values.shape}"
        )
    if layer.bias is None:
        raise ConfigError(f"the output layer of {type(model).__name__} has no bias to set")
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(matrix))
        layer.bias.copy_(torch.as_tensor(values))
