"""The parts of a model: the encoder, the head, and their parameters."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

__all__ = [
    "base_model_of",
    "copy_weights",
    "count_parameters",
    "freeze",
    "head_module_names",
    "pools_last_token",
]


def base_model_of(model: Any) -> PreTrainedModel:
    """The model below the wrapper of an adapter, if there is one."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def head_module_names(model: PreTrainedModel) -> list[str]:
    """Names of the model's children with parameters that are not the encoder.

    A transfer loss that is trained inside the model is not part of its head.
    """
    others = (model.base_model_prefix, "transfer_loss")
    return [
        name
        for name, child in model.named_children()
        if name not in others and any(True for _ in child.parameters())
    ]


def copy_weights(trained: nn.Module, model: nn.Module, *, head: bool) -> None:
    """Copy the weights of a trained model into another of the same architecture and adapters.

    Args:
        trained: The model to copy from.
        model: The model to change.
        head: Whether to copy the head too; False if the labels differ, which keeps the new head.
    """
    heads = tuple(f".{name}." for name in head_module_names(base_model_of(model)))
    state = {
        name: tensor
        for name, tensor in trained.state_dict().items()
        if head or not any(part in f".{name}" for part in heads)
    }
    model.load_state_dict(state, strict=False)


def freeze(model: PreTrainedModel, *, embeddings: bool = False, encoder: bool = False) -> None:
    """Freeze the token embedding table, or the whole encoder.

    English sentences send no gradient to the rows of Chinese tokens; a table that is trained on
    English alone can move away from its Chinese half. Freezing it keeps the two aligned.
    """
    if encoder:
        model.base_model.requires_grad_(False)
    if embeddings:
        model.get_input_embeddings().requires_grad_(False)


def count_parameters(model: nn.Module, *, trainable: bool = False) -> int:
    """Number of parameters, or of the trainable ones."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def pools_last_token(model: PreTrainedModel) -> bool:
    """Whether the model pools the last token that is not padding, as decoders do.

    transformers calls the output layer of these architectures ``score``; one of them, Cohere's
    Compass, can be configured to pool differently.
    """
    is_for_texts = type(model).__name__.endswith("ForSequenceClassification")
    is_default = getattr(model.config, "pooling", None) in (None, "eos")
    return is_for_texts and is_default and "score" in head_module_names(model)
