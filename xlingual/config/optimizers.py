"""Build the optimizer and the schedule once on a tiny model, so that wrong settings fail early."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers import TrainingArguments

from xlingual.config.flag_parser import as_typed
from xlingual.config.inherited import takes_parameter_groups
from xlingual.errors import ConfigError

__all__ = ["check_optimizer"]

_SETTINGS = (
    "optim", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "lr_scheduler_type",
    "lr_scheduler_kwargs",
)  # fmt: skip
_STEPS = 100


def check_optimizer(args: TrainingArguments) -> None:
    """Refuse settings with which the optimizer or the schedule cannot be built.

    Args:
        args: The run's arguments; nothing is built if they are transformers' defaults.

    Raises:
        ConfigError: The optimizer or the schedule refuses its settings.
    """
    known = TrainingArguments.__dataclass_fields__
    if all(getattr(args, name) == known[name].default for name in _SETTINGS):
        return
    from transformers import get_scheduler

    optimizer: Any = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=1e-3)
    if takes_parameter_groups(args.optim):  # the others need the whole model
        try:
            optimizer = _optimizer(args)
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"--optim {as_typed(args.optim)} cannot be built: {error}") from error
    settings: Any = args.lr_scheduler_kwargs
    try:
        get_scheduler(
            args.lr_scheduler_type,
            optimizer,
            num_warmup_steps=1,
            num_training_steps=_STEPS,
            scheduler_specific_kwargs=settings,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"--lr_scheduler_type {as_typed(args.lr_scheduler_type)} with --lr_scheduler_kwargs "
            f"{args.lr_scheduler_kwargs} cannot be built: {error}"
        ) from error


def _optimizer(args: TrainingArguments) -> Any:
    from transformers import Trainer

    args = copy.copy(args)
    if args.learning_rate is None:  # chosen later, by the encoder's size
        args.learning_rate = 1e-3
    model: Any = torch.nn.Linear(1, 1)
    kind, settings = Trainer.get_optimizer_cls_and_kwargs(args, model)
    return kind(model.parameters(), **settings)
