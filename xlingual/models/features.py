"""Pooled features: what the last layer of a classification head reads."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from xlingual.errors import ConfigError
from xlingual.models.loading import base_model_of, head_module_names

__all__ = ["FeatureTap", "output_layer"]


def output_layer(model: nn.Module) -> nn.Linear:
    """The linear layer that makes the logits, whatever the architecture calls it.

    Raises:
        ConfigError: The model's head has no linear layer with as many outputs as it has labels.
    """
    base: PreTrainedModel = base_model_of(model)
    found = [
        module
        for name in head_module_names(base)
        for module in base.get_submodule(name).modules()
        if isinstance(module, nn.Linear) and module.out_features == base.config.num_labels
    ]
    # Around a head that PEFT trains stand the original and the trained copy; the last one runs.
    if not found:
        raise ConfigError(
            f"{type(base).__name__} has no linear layer with {base.config.num_labels} outputs in "
            "its head; expected a classification model"
        )
    return found[-1]


class FeatureTap:
    """Keeps the input of the output layer at each forward pass, shape ``(batch, hidden)``.

    A hook and not ``output_hidden_states``: it is the same for every architecture and pooling, it
    costs nothing, and it runs inside the one forward pass that DDP and FSDP see.

    Args:
        model: A classification model, with or without an adapter.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layer = output_layer(model)
        self.features: Tensor | None = None
        self._handle = self.layer.register_forward_pre_hook(self._keep)

    @property
    def hidden_size(self) -> int:
        """Width of the features."""
        return self.layer.in_features

    def take(self) -> Tensor:
        """The features of the last forward pass, once."""
        if self.features is None:
            raise RuntimeError("no forward pass has been made since the features were taken")
        features, self.features = self.features, None
        return features

    def remove(self) -> None:
        """Stop listening."""
        self._handle.remove()

    def _keep(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.features = arguments[0]
