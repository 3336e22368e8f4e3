"""The flags of ``TrainingArguments`` that a transfer run refuses, each with its reason.

Every other flag of transformers works as it does there: ``tests/config/test_inherited.py`` tries
each of them in a run of two steps with evaluation and prediction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from xlingual.config.flag_parser import as_typed

__all__ = ["FLAG_GROUPS", "NEVER", "REFUSED", "refused_flags", "takes_parameter_groups"]

# These build their own parameter groups, so no layer can have its own learning rate.
_OWN_GROUPS = ("galore", "apollo", "lomo")
_FOLLOWING = ("reduce_lr_on_plateau", "greedy")
_WITHOUT_OPTIM_ARGS = (
    "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adafactor",
    "lomo", "adalomo",
)  # fmt: skip
_NEEDS_SCORES = "the scores are computed over all rows together"
_HALF = "it would round the weights that are saved; --precision bf16 also evaluates in bfloat16"
_CHOSEN = "--selection decides which weights are kept; use --selection source_dev"
_LAUNCH = "it needs several processes; add --accelerate_config ddp, or fsdp2"


class Refused(NamedTuple):
    """A flag, when it is refused, and why."""

    flag: str
    is_refused: Callable[[Any], bool]
    reason: str


def _is_on(flag: str) -> Callable[[Any], bool]:
    return lambda args: bool(getattr(args, flag))


def _is_on_unselected(flag: str) -> Callable[[Any], bool]:
    return lambda args: getattr(args, flag) not in (None, False) and not args.selection_language


def _is_below(flag: str, least: float) -> Callable[[Any], bool]:
    return lambda args: getattr(args, flag) is not None and getattr(args, flag) < least


def _is_launched() -> bool:
    return "LOCAL_RANK" in os.environ


def _projects(args: Any) -> bool:
    return any(name in as_typed(args.optim) for name in ("galore", "apollo"))


def takes_parameter_groups(optimizer: Any) -> bool:
    """Whether an optimizer of transformers takes groups with learning rates of their own."""
    return not any(name in as_typed(optimizer) for name in _OWN_GROUPS)


def _has_own_rates(args: Any) -> bool:
    rates = (args.head_learning_rate, args.embedding_learning_rate)
    return rates != (None, None) or args.layer_decay != 1


REFUSED = (
    Refused("prediction_loss_only", _is_on("prediction_loss_only"), "the scores need predictions"),
    Refused("eval_do_concat_batches", lambda a: not a.eval_do_concat_batches, _NEEDS_SCORES),
    Refused("batch_eval_metrics", _is_on("batch_eval_metrics"), _NEEDS_SCORES),
    Refused(
        "include_for_metrics",
        _is_on("include_for_metrics"),
        "the scores use labels and predictions only",
    ),
    Refused("bf16_full_eval", _is_on("bf16_full_eval"), _HALF),
    Refused("fp16_full_eval", _is_on("fp16_full_eval"), _HALF),
    Refused("save_strategy best", lambda a: a.save_strategy == "best", _CHOSEN),
    Refused("load_best_model_at_end", _is_on_unselected("load_best_model_at_end"), _CHOSEN),
    Refused("metric_for_best_model", _is_on_unselected("metric_for_best_model"), _CHOSEN),
    Refused("greater_is_better", _is_on_unselected("greater_is_better"), _CHOSEN),
    Refused(
        "lr_scheduler_type",
        lambda a: a.lr_scheduler_type in _FOLLOWING and not a.selection_language,
        "it needs an evaluation score; add --selection source_dev",
    ),
    Refused(
        "debug underflow_overflow",
        lambda a: "underflow_overflow" in as_typed(a.debug),
        "its hook cannot read the Boolean attention masks of an encoder",
    ),
    Refused(
        "train_sampling_strategy",
        lambda a: a.target_share is not None and a.train_sampling_strategy != "random",
        "--target_share needs --train_sampling_strategy random",
    ),
    Refused(
        "optim_target_modules",
        lambda a: a.optim_target_modules and not _projects(a),
        "only the GaLore and APOLLO optimizers read it",
    ),
    Refused(
        "optim",
        lambda a: _projects(a) and not a.optim_target_modules,
        "it needs --optim_target_modules all-linear, or names of modules",
    ),
    Refused(
        "optim_args",
        lambda a: a.optim_args and a.optim in _WITHOUT_OPTIM_ARGS,
        "this optimizer takes none",
    ),
    Refused(
        "optim",
        lambda a: not takes_parameter_groups(a.optim) and _has_own_rates(a),
        "it builds its own parameter groups; leave out --head_learning_rate, "
        "--embedding_learning_rate and --layer_decay",
    ),
    Refused("fsdp", lambda a: bool(a.fsdp) and not _is_launched(), _LAUNCH),
    Refused("ddp_backend", lambda a: bool(a.ddp_backend) and not _is_launched(), _LAUNCH),
    Refused("weight_decay", _is_below("weight_decay", 0), "it must be at least 0"),
    Refused("max_grad_norm", _is_below("max_grad_norm", 0), "it must be at least 0; 0 is off"),
    Refused(
        "label_smoothing_factor",
        lambda a: not 0 <= a.label_smoothing_factor < 1,
        "it must be at least 0 and below 1",
    ),
    *(
        Refused(flag, _is_below(flag, 1), "it must be at least 1")
        for flag in ("gradient_accumulation_steps", "per_device_eval_batch_size")
    ),
)


def refused_flags(args: Any) -> Iterator[str]:
    """A line for each flag that is set and cannot be used.

    Args:
        args: ``TransferArguments``, before ``TrainingArguments.__post_init__`` has run.
    """
    for flag, is_refused, reason in REFUSED:
        if is_refused(args):
            name = flag.split()[0]
            yield f"--{name} {as_typed(getattr(args, name))} cannot be used: {reason}"


NEVER = "Refused in every run, with the reason"

# The headings of ``--help_all``, in the order of transformers' documentation.
FLAG_GROUPS: dict[str, tuple[str, ...]] = {
    "Learning rate and optimizer": (
        "lr_scheduler_type", "lr_scheduler_kwargs", "optim", "optim_args", "optim_target_modules",
        "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "label_smoothing_factor",
        "neftune_noise_alpha", "average_tokens_across_devices",
    ),
    "Precision, memory and speed": (
        "bf16", "fp16", "tf32", "activation_checkpointing",
        "activation_checkpointing_kwargs", "gradient_checkpointing",
        "gradient_checkpointing_kwargs", "torch_compile", "torch_compile_backend",
        "torch_compile_mode", "use_liger_kernel", "liger_kernel_config", "use_cache",
        "torch_empty_cache_steps", "auto_find_batch_size", "use_cpu",
    ),
    "Logging": (
        "logging_strategy", "logging_first_step", "log_on_each_node", "logging_nan_inf_filter",
        "include_num_input_tokens_seen", "log_level", "log_level_replica", "disable_tqdm",
        "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id",
        "debug", "skip_memory_metrics",
    ),
    "Evaluation during training": (
        "eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "eval_accumulation_steps",
        "eval_use_gather_object", "load_best_model_at_end", "metric_for_best_model",
        "greater_is_better",
    ),
    "Checkpoints": (
        "save_steps", "save_only_model", "save_on_each_node", "enable_jit_checkpoint",
        "ignore_data_skip", "restore_callback_states_from_checkpoint",
    ),
    "Hub": (
        "hub_token", "hub_private_repo", "hub_strategy", "hub_always_push", "hub_revision",
    ),
    "Data order and loading": (
        "data_seed", "full_determinism", "train_sampling_strategy", "length_column_name",
        "remove_unused_columns", "dataloader_drop_last", "dataloader_num_workers",
        "dataloader_pin_memory", "dataloader_persistent_workers", "dataloader_prefetch_factor",
        "dataloader_multiprocessing_context", "dataloader_in_order",
    ),
    "Multiple devices": (
        "accelerator_config", "parallelism_config", "ddp_find_unused_parameters",
        "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend",
        "ddp_timeout", "fsdp", "fsdp_config", "deepspeed", "local_rank",
    ),
    NEVER: (
        "batch_eval_metrics", "bf16_full_eval", "eval_do_concat_batches", "fp16_full_eval",
        "include_for_metrics", "prediction_loss_only",
    ),
    "Without effect: a recipe always trains, evaluates and predicts": (
        "do_train", "do_eval", "do_predict",
    ),
}  # fmt: skip
