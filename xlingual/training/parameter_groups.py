"""Separate learning rates for embeddings, layers and head."""

from __future__ import annotations

import re
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from xlingual.models.parts import base_model_of

__all__ = ["parameter_groups"]

_LAYER = re.compile(r"\.(?:layers?|h|block)\.(\d+)\.")


def parameter_groups(
    model: PreTrainedModel,
    *,
    learning_rate: float,
    weight_decay: float,
    decay_parameters: set[str],
    head_learning_rate: float | None = None,
    embedding_learning_rate: float | None = None,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    r"""Optimizer groups with separate learning rates for embeddings, layers and head.

    Layer *l* of *n* trains at :math:`\eta \, d^{\,n-1-l}` and the embeddings at
    :math:`\eta \, d^{\,n}`, with :math:`d` = ``layer_decay`` (Howard and Ruder 2018; the values
    around 0.9 are those of ELECTRA).

    Args:
        model: The model to be trained, with or without adapters.
        learning_rate: :math:`\eta`, of the last layer.
        weight_decay: Decay of the parameters in ``decay_parameters``; the others have none.
        decay_parameters: Names that decay: matrices, not biases and norms.
        head_learning_rate: Rate of everything that is not the encoder; None: ``learning_rate``.
        embedding_learning_rate: Rate of the token table; None: the one of the layer decay.
        layer_decay: 1.0 trains all layers at one rate.
    """
    table = {id(p) for p in model.get_input_embeddings().parameters()}
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        for parameter in module.parameters()
    }
    encoder = {id(p) for p in base_model_of(model).base_model.parameters()}
    layers = [int(m[1]) for name, _ in model.named_parameters() if (m := _LAYER.search(name))]
    num_layers = max(layers, default=-1) + 1

    def rate(name: str, parameter: nn.Parameter) -> float:
        if id(parameter) in table and embedding_learning_rate is not None:
            return embedding_learning_rate
        if id(parameter) not in encoder or "modules_to_save" in name:
            return head_learning_rate if head_learning_rate is not None else learning_rate
        layer = _LAYER.search(name)
        is_embedding = "embed" in name or id(parameter) in embeddings
        if layer:
            return learning_rate * layer_decay ** (num_layers - 1 - int(layer[1]))
        return learning_rate * (layer_decay**num_layers if is_embedding else 1.0)

    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = weight_decay if name in decay_parameters else 0.0
            groups.setdefault((rate(name, parameter), decay), []).append(parameter)
    return [
        {"params": parameters, "lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
    ]
