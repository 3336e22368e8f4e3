"""The settings and files that a comparison passes on to its runs."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from typing import Any

from xlingual.data.corpus import ROLES

__all__ = [
    "changed_settings",
    "embedded_roles",
]

# Set by the comparison for each run, derived from --precision and --selection, or about the
# comparison as a whole.
_NOT_HANDED_ON = (
    "output_dir", "seed", "overwrite_output", "resume_from_checkpoint", "method", "bf16", "fp16",
    "do_eval", "eval_strategy", "eval_steps", "load_best_model_at_end", "metric_for_best_model",
    "greater_is_better", "run_name", "push_to_hub",
)  # fmt: skip


def changed_settings(*configs: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, as plain values for ``--config``.

    Secrets are left out, because a run reads them from where the comparison did; so are settings
    that the comparison makes for each run.
    """
    changed: dict[str, Any] = {}
    for config in configs:
        values, defaults = _values(config), _values(type(config)())
        changed |= {
            key: value
            for key, value in values.items()
            if value != defaults[key]
            and key not in _NOT_HANDED_ON
            and not key.endswith("_token")
            and isinstance(value, (str, int, float, bool, list, dict))
        }
    return changed


def _values(config: Any) -> dict[str, Any]:
    values = config.to_dict() if hasattr(config, "to_dict") else dataclasses.asdict(config)
    return {key: value for key, value in values.items() if not key.startswith("_")}


def embedded_roles() -> dict[str, str]:
    """The files of the embedded corpus by role; each run takes those that it needs."""
    corpus = files("xlingual") / "assets" / "corpus"
    return {role: str(corpus / f"{role}.jsonl") for role in ROLES}
