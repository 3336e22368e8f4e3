"""Learning rates and epochs by the size of the encoder and of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Preset", "enough_epochs", "preset_for"]


@dataclass(frozen=True)
class Preset:
    """Settings for one size of encoder; an explicit flag always wins."""

    name: str
    learning_rate: float
    adapter_learning_rate: float
    head_learning_rate: float | None
    freeze_embeddings: bool
    adapter: str = "none"
    min_epochs: float = 3
    min_steps: int = 200


# By parameters of the encoder without its embeddings. Base and large: the usual recipe for XLM-R
# (Conneau et al. 2020) and LoRA at ten times that; small: MiniLM's 5e-5. Tiny is measured on the
# embedded encoder. Very large, beyond XLM-R-large: full fine-tuning takes 16 bytes a parameter,
# and LoRA does as well there (Hu et al. 2022).
_PRESETS = (
    (10_000_000, Preset("tiny", 3e-4, 1e-3, 1e-3, True)),
    (50_000_000, Preset("small", 5e-5, 5e-4, None, False)),
    (200_000_000, Preset("base", 2e-5, 3e-4, None, False)),
    (350_000_000, Preset("large", 1e-5, 2e-4, None, False)),
    (float("inf"), Preset("very large", 1e-5, 2e-4, None, False, adapter="lora")),
)


def preset_for(num_parameters: int) -> Preset:
    """The preset for an encoder with this many parameters, embeddings not counted."""
    return next(preset for limit, preset in _PRESETS if num_parameters <= limit)


def enough_epochs(
    steps_per_epoch: float,
    *,
    min_epochs: float = 3,
    min_steps: int = 200,
    most: float = 20,
) -> float:
    """At least ``min_epochs``, or as many as it takes to make ``min_steps``, up to ``most``.

    Three epochs over a few hundred rows stop long before the model has converged: the number of
    steps matters (Mosbach et al. 2021, Zhang et al. 2021, on BERT with little data).
    """
    enough = math.ceil(min_steps / max(1, steps_per_epoch))
    return float(min(most, max(min_epochs, enough)))
