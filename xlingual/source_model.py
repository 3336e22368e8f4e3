"""A trained model in place of source data: what its head knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from xlingual.arguments import option
from xlingual.errors import ConfigError, ModelLoadError
from xlingual.labels import LabelSpace
from xlingual.tasks import Task, get_task

__all__ = ["SourceFreeArguments", "trained_label_space"]


@dataclass
class SourceFreeArguments:
    """How a trained model is adapted to target text."""

    num_rounds: int = option(5, "Rounds of new pseudo-labels, each one pass over the text.")
    pseudo_label_weight: float = option(0.3, "Weight of the centroid pseudo-labels.")
    diversity_weight: float = option(1.0, "How firmly the classes keep the shares first predicted.")
    guard: bool = option(True, "Stop at the first round that shows signs of collapse.")

    def __post_init__(self) -> None:
        if self.num_rounds < 1:
            raise ConfigError(f"--num_rounds must be at least 1; got {self.num_rounds}")
        for name in ("pseudo_label_weight", "diversity_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name} must be at least 0; got {getattr(self, name)}")


def trained_label_space(
    model_name_or_path: str | None, *, task: str | Task = "sequence", revision: str | None = None
) -> LabelSpace:
    """The label names of a trained classifier, from its ``config.json``.

    Args:
        model_name_or_path: The folder of a result, or a hub id.
        task: What the classifier must be one for.
        revision: Branch, tag or commit on the hub.

    Raises:
        ConfigError: No model is named, it is an adapter or an encoder without a trained head, or a
            multi-label one.
        ModelLoadError: There is no such model.
    """
    the_task = get_task(task) if isinstance(task, str) else task
    path = model_name_or_path
    if path is None:
        raise ConfigError(
            "this recipe adapts a trained classifier: give its folder with --model_name_or_path, "
            "for example the --output_dir of zero_shot"
        )
    if Path(path, "adapter_config.json").is_file():
        raise ConfigError(
            f"{path} is an adapter, expected a plain model: write one with "
            f"'xlingual merge {path} MERGED' and give that"
        )
    try:
        config: Any = AutoConfig.from_pretrained(path, revision=revision)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelLoadError(
            f"cannot read the model {path!r}: expected a folder with config.json and "
            f"model.safetensors, or a hub id ({reason})"
        ) from error
    wanted = the_task.auto_class.removeprefix("AutoModel")
    kinds = list(config.architectures or [])
    is_multi_label = "multi_label_classification" in (the_task.problem_type, config.problem_type)
    if is_multi_label or not any(kind.endswith(wanted) for kind in kinds):
        kind = "multi-label" if is_multi_label else ", ".join(kinds) or "without an architecture"
        raise ConfigError(
            f"{path} is {kind}; expected a trained classifier (...{wanted}) with one label a row, "
            "for example the --output_dir of zero_shot"
        )
    return LabelSpace.from_id2label(config.id2label)
