"""Plan the runs of a comparison: each gets the data and settings that its recipe knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlingual.comparing.methods import BASELINE, CEILING, METHODS, NOT_BY_DEFAULT
from xlingual.comparing.running import ComparedRun
from xlingual.config.methods import CompareArguments, FewShotArguments, UnlabeledTargetArguments
from xlingual.errors import ConfigError

__all__ = ["choose_methods", "plan_runs"]

_EVERYWHERE = ("source_train", "source_validation", "target_validation", "target_test")


def _names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


# The methods' own settings that a recipe knows.
_KNOWN = {
    "few_shot": _names(FewShotArguments),
    "unlabeled_target": _names(UnlabeledTargetArguments),
    "translate_train": {"guard"},
    "language_adapters": {"guard", "zero_shot_model"},
}


def choose_methods(
    args: CompareArguments,
    data: Container[str],
    *,
    known: Mapping[str, Sequence[str]] | None = None,
    left_out: Sequence[str] = NOT_BY_DEFAULT,
) -> list[str]:
    """The methods to run, in the order of ``known``.

    Args:
        args: ``methods`` names them; None: those that the data allows.
        data: The data flags that are given.
        known: The data flags that each method needs; None: those of the package's methods.
        left_out: Methods that run only on request.

    Raises:
        ConfigError: Unknown names, or methods whose data is not given.
    """
    if known is None:
        known = {name: method.needs for name, method in METHODS.items()}
    lacking = {name: [role for role in known[name] if role not in data] for name in known}
    if args.methods is None:
        return [name for name in known if not lacking[name] and name not in left_out]
    asked = [name.strip() for name in args.methods.split(",") if name.strip()]
    if not asked or not set(asked) <= set(known):
        raise ConfigError(f"--methods takes {', '.join(known)}; got {args.methods!r}")
    if missing := [f"{name} needs --{lacking[name][0]}" for name in asked if lacking[name]]:
        raise ConfigError("; ".join(missing))
    return [name for name in known if name in asked]


def plan_runs(
    methods: Sequence[str],
    seeds: Sequence[int],
    *,
    recipes: str | Path,
    output_dir: str | Path,
    data: Mapping[str, str],
    settings: Mapping[str, Any],
    method_settings: Mapping[str, Any],
    target_language: str,
) -> list[ComparedRun]:
    """Plan a run for every method and seed, with the data and settings that its recipe knows.

    Methods that start from a zero-shot model get the one that the comparison trains with the same
    seed, if it trains one; not with an adapter, because no recipe starts from an adapter.

    Args:
        methods: Names in ``METHODS``.
        seeds: Seeds to run each method with.
        recipes: Folder of the recipes.
        output_dir: Folder of the comparison, which holds the runs' folders.
        data: The given data, by flag.
        settings: The user's settings for all runs.
        method_settings: The user's settings for single methods, for the recipes that know them.
        target_language: Names the ceiling's source set.

    Returns:
        The runs, grouped by seed.
    """
    shares_model = (
        BASELINE in methods
        and settings.get("adapter", "none") == "none"
        and "zero_shot_model" not in method_settings
    )

    def plan(name: str, seed: int) -> ComparedRun:
        method = METHODS[name]
        roles = (*_EVERYWHERE, *method.needs, *method.uses)
        given = {role: data[role] for role in roles if role in data}
        known = _KNOWN.get(method.recipe, set())
        own = {key: value for key, value in method_settings.items() if key in known}
        flags = {**settings, **own, **method.flags}
        if name == CEILING:  # the target takes the place of the source
            tested = {role: path for role, path in given.items() if role == "target_test"}
            given = {"source_train": data["target_train"], **tested}
            flags["source_language"] = f"{CEILING}_{target_language}"
        after = None
        if shares_model and "zero_shot_model" in known:
            after = f"{BASELINE}-{seed}"
            flags["zero_shot_model"] = str(Path(output_dir, after))
        recipe = Path(recipes, f"{method.recipe}.py")
        return ComparedRun(name, seed, recipe, {**flags, **given}, after=after)

    return [plan(name, seed) for seed in seeds for name in methods]
