"""The methods that a comparison knows: their recipes, flags and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["BASELINE", "BY_EVIDENCE", "CEILING", "METHODS", "NOT_BY_DEFAULT", "Method"]

BASELINE, CEILING = "zero_shot", "supervised"
_TEXT, _LABELS, _BITEXT = ("target_unlabeled",), ("target_train",), ("bitext",)


class Method(NamedTuple):
    """A method: a recipe, its flags and its data.

    Attributes:
        recipe: Name of the recipe.
        flags: Flags of the recipe.
        needs: Data that it needs besides source and test, by flag.
        uses: Data that it also reads if given.
        by_default: Whether it runs if no methods are named.
        learns_ngrams: Whether it is trained on labels that the n-grams of the target text gave.
    """

    recipe: str
    flags: Mapping[str, Any] = {}
    needs: Sequence[str] = ()
    uses: Sequence[str] = ()
    by_default: bool = True
    learns_ngrams: bool = False


def _on_text(method: str, *, by_default: bool = True, learns_ngrams: bool = False) -> Method:
    """A method of the recipe ``unlabeled_target``."""
    flags = {"method": method}
    return Method(
        "unlabeled_target", flags, _TEXT, by_default=by_default, learns_ngrams=learns_ngrams
    )


def _on_translations(method: str, needs: Sequence[str], *, by_default: bool = True) -> Method:
    """A method of the recipe ``translate_train``; its guard reads target text."""
    return Method("translate_train", {"method": method}, needs, _TEXT, by_default=by_default)


# In the order of the table: methods that need less data first, then cheaper ones first.
METHODS: Mapping[str, Method] = {
    BASELINE: Method("zero_shot"),
    "zero_shot_average": Method("zero_shot", {"selection": "average"}),
    "r_drop": Method("zero_shot", {"r_drop_weight": 1.0}, by_default=False),
    "frozen_features": Method("frozen_features"),
    "frozen_self_training": Method("frozen_features", {"self_training": True}, _TEXT),
    "frozen_co_training": Method(
        "frozen_features", {"co_training": True}, _TEXT, learns_ngrams=True
    ),
    "dann": _on_text("dann", by_default=False),
    "cdan": _on_text("cdan", by_default=False),
    "mmd": _on_text("mmd", by_default=False),
    "coral": _on_text("coral"),
    "self_training": _on_text("self_training"),
    "co_training": _on_text("co_training", learns_ngrams=True),
    "continued_pretraining": _on_text("continued_pretraining"),
    "language_adapters": Method("language_adapters", {}, _TEXT, by_default=False),
    "code_switching": _on_translations("code_switching", ("dictionary",)),
    "bitext_consistency": _on_translations("bitext_consistency", _BITEXT),
    "continual_alignment": _on_translations("continual_alignment", _BITEXT, by_default=False),
    "translations": _on_translations("translations", ("translations",)),
    "distill": Method("distill", {}, ("teachers",), (*_TEXT, *_BITEXT)),
    "few_shot": Method("few_shot", {}, _LABELS),
    "few_shot_with_text": Method("few_shot", {}, (*_LABELS, *_TEXT), learns_ngrams=True),
    "joint": Method("joint", {}, _LABELS, by_default=False),
    CEILING: Method("zero_shot", {}, _LABELS),
}
NOT_BY_DEFAULT = tuple(name for name, method in METHODS.items() if not method.by_default)
BY_EVIDENCE = (
    "few_shot_with_text", "co_training", "few_shot", "self_training", "zero_shot_average", BASELINE,
)  # fmt: skip
