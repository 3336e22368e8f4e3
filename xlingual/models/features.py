"""Pooled features: the input of the last layer of a classification head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from xlingual.errors import ConfigError
from xlingual.models.parts import base_model_of, head_module_names, pools_last_token

__all__ = ["FeatureTap", "output_layer"]


def output_layer(model: nn.Module) -> nn.Linear:
    """The linear layer that computes the logits, whatever the architecture calls it.

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
    # PEFT keeps the original head next to the trained copy; the last one is in use.
    if not found:
        raise ConfigError(
            f"{type(base).__name__} has no linear layer with {base.config.num_labels} outputs in "
            "its head; expected a classification model"
        )
    return found[-1]


class FeatureTap:
    r"""Captures the input of the output layer at each forward pass, shape ``(batch, hidden)``.

    A decoder in transformers computes logits at every token, :math:`z_t = W h_t`, and keeps those
    of the last token that is not padding; its features are :math:`h_t` of that token. A token task
    has features for each token, shape ``(batch, length, hidden)``.

    A hook is used instead of ``output_hidden_states``: it works the same for every architecture and
    pooling, costs nothing, and runs inside the one forward pass that DDP and FSDP see.

    Args:
        model: A classification model, with or without an adapter.

    Raises:
        ConfigError: The model has no output layer. At the first forward pass: it averages the
            logits of the tokens.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layer = output_layer(model)
        self.features: Tensor | None = None
        self._last_token: Tensor | None = None
        self._handles = [self.layer.register_forward_pre_hook(self._keep)]
        base = base_model_of(model)
        self._is_for_texts = type(base).__name__.endswith("ForSequenceClassification")
        if pools_last_token(base):
            config: Any = base.config
            self._pad_token_id = config.get_text_config().pad_token_id
            # On the encoder: an adapter's wrapper calls ``forward`` of the model without its hooks.
            self._handles.append(
                base.base_model.register_forward_pre_hook(self._find_last_token, with_kwargs=True)
            )

    @property
    def hidden_size(self) -> int:
        """Width of the features."""
        return self.layer.in_features

    def take(self) -> Tensor:
        """Return the features of the last forward pass, and forget them."""
        if self.features is None:
            raise RuntimeError("no forward pass has been made since the features were taken")
        features, self.features = self.features, None
        return features

    def remove(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    def _find_last_token(
        self, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        # As in transformers: padding may be on either side, and a row of padding gives token 0.
        ids: Tensor = keywords["input_ids"] if "input_ids" in keywords else arguments[0]
        places = torch.arange(ids.shape[1], device=ids.device)
        self._last_token = (places * (ids != self._pad_token_id)).argmax(dim=1)

    def _keep(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        features: Tensor = arguments[0]
        if self._last_token is not None:
            last, self._last_token = self._last_token, None
            features = features[torch.arange(len(last), device=features.device), last]
        if self._is_for_texts and features.dim() != 2:
            raise ConfigError(
                "the model computes logits at every token and averages them, so a text has no "
                "single feature vector; set classifier_pooling to mean in its config.json"
            )
        self.features = features
