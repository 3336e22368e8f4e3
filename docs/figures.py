"""Draws the figures of the documentation: ``python docs/figures.py``.

Reads ``benchmarks/measured/*.jsonl`` and needs no network and no model. Writes SVG files, and
``numbers.json`` with every number that is drawn, into ``docs/figures``. Text stays text and is
grey, the background is transparent: a figure is read on a light page and on a dark one.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "benchmarks" / "measured"
FOLDER = ROOT / "docs" / "figures"

DOMAINS = ("hotel", "books", "computer", "phone", "clothes")
# The two budgets under which the methods were measured; docs/results.md explains both.
ALL_ROWS = {"max_train_rows": None, "max_length": 128}
THOUSAND_ROWS = {"max_train_rows": 1000, "max_length": 64}
NAMES = {
    "zero_shot_average": "averaged weights",
    "r_drop": "R-Drop",
    "dann": "DANN",
    "cdan": "CDAN",
    "mmd": "MMD",
    "coral": "CORAL",
    "self_training": "self-training",
    "co_training": "co-training",
    "continued_pretraining": "continued pretraining",
    "language_adapters": "language adapters",
    "code_switching": "code-switching",
    "bitext_consistency": "bitext consistency",
    "continual_alignment": "continual alignment",
    "translations": "translate-train (people)",
    "distill": "distillation",
    "distill_fused": "distillation, three fused",
    "source_free": "source-free (SHOT)",
    "private": "private (DP-SGD)",
    "few_shot": "16 shots per class",
    "few_shot_with_text": "16 shots and text",
    "joint": "English and Chinese labels",
    "supervised": "Chinese labels alone",
}

GREY, FAINT = "#7b818a", "#9aa0a8"
BLUE, ORANGE, GREEN = "#3b82d6", "#e07b39", "#2fa07a"
COLOURS = (BLUE, ORANGE, GREEN, "#a76fd0", "#c9a227", "#d3577b")
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text, not outlines: small, searchable, and in the reader's font
    "svg.hashsalt": "xlingual",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": FAINT,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
}

Numbers = list[dict[str, Any]]


def main(folder: Path = FOLDER, suffix: str = "svg") -> None:
    """Draw every figure, and write the numbers beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = all_numbers()
    with matplotlib.rc_context(STYLE):
        for name, draw in DRAWN.items():
            figure = draw(numbers[name])
            metadata = {"Date": None} if suffix == "svg" else None
            figure.savefig(folder / f"{name}.{suffix}", transparent=True, metadata=metadata)
        figure = draw_seams()
        figure.savefig(folder / f"seams.{suffix}", transparent=True, metadata=metadata)
    text = json.dumps(numbers, indent=1, ensure_ascii=False) + "\n"
    (folder / "numbers.json").write_text(text, encoding="utf-8")


def all_numbers() -> dict[str, Numbers]:
    """What is drawn, by figure."""
    runs = read_rows(MEASURED / "transfer.jsonl")
    return {
        "gap": gap_by_domain(runs),
        "gain": gains(runs),
        "seconds": gains_on(runs, ("topic",), ALL_ROWS, "topic"),
        "estimates": estimates(read_rows(MEASURED / "estimates.jsonl")),
    }


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scores(runs: Iterable[dict[str, Any]], domain: str, method: str, budget: dict) -> dict:
    """The runs of a set, a method and a budget, by seed; the last one counts."""
    wanted = {"domain": domain, "method": method, "model": None, **budget}
    return {run["seed"]: run for run in runs if wanted.items() <= run.items()}


def gap_by_domain(runs: list[dict[str, Any]]) -> Numbers:
    """Zero-shot, co-training and the ceiling on each review domain, in percent."""
    rows = []
    for domain in DOMAINS:
        row: dict[str, Any] = {"domain": domain}
        means = {}
        for method in ("zero_shot", "co_training", "supervised"):
            values = [
                100 * run["eval_zh_accuracy"]
                for run in scores(runs, domain, method, ALL_ROWS).values()
            ]
            means[method] = statistics.mean(values)
            row[method] = round(means[method], 2)
            row[f"{method}_spread"] = round(statistics.stdev(values), 2)
        row["gap_recovered"] = round(
            (means["co_training"] - means["zero_shot"])
            / (means["supervised"] - means["zero_shot"]),
            4,
        )
        rows.append(row)
    return rows


def gains(runs: list[dict[str, Any]]) -> Numbers:
    """Each method against zero-shot of the same seed: topics, and the mean of five domains."""
    return [
        *gains_on(runs, ("topic",), ALL_ROWS, "topic"),
        *gains_on(runs, DOMAINS, THOUSAND_ROWS, "reviews"),
    ]


def gains_on(
    runs: list[dict[str, Any]], domains: tuple[str, ...], budget: dict[str, Any], task: str
) -> Numbers:
    """Mean and spread over seeds of the gain, averaged over the sets, and the mean seconds."""
    zero_shot = {domain: scores(runs, domain, "zero_shot", budget) for domain in domains}
    rows = []
    for method in NAMES:
        found = {domain: scores(runs, domain, method, budget) for domain in domains}
        seeds = sorted(set.intersection(*(set(of_set) for of_set in found.values())))
        if len(seeds) < 2:
            continue
        won = [
            100
            * statistics.mean(
                found[domain][seed]["eval_zh_accuracy"]
                - zero_shot[domain][seed]["eval_zh_accuracy"]
                for domain in domains
            )
            for seed in seeds
        ]
        seconds = [found[domain][seed]["seconds"] for domain in domains for seed in seeds]
        rows.append(
            {
                "task": task,
                "method": method,
                "gain": round(statistics.mean(won), 2),
                "spread": round(statistics.stdev(won), 2),
                "seconds": round(statistics.mean(seconds), 1),
            }
        )
    return rows


def estimates(rows: list[dict[str, Any]]) -> Numbers:
    """The accuracy that was estimated without labels, its interval, and the true one."""
    keys = ("estimate", "low", "high", "truth")
    return [
        {"task": row["task"], "domain": row["domain"].removeprefix("zh_"), "seed": row["seed"]}
        | {key: round(100 * row[key], 2) for key in keys}
        for row in rows
    ]


def draw_gap(numbers: Numbers) -> Figure:
    """From zero-shot to the ceiling, and how far co-training came."""
    figure, axes = new_figure(6.4, 2.5)
    rows = list(reversed(numbers))
    for y, row in enumerate(rows):
        axes.plot([row["zero_shot"], row["supervised"]], [y, y], color=FAINT, lw=1, zorder=1)
        axes.plot([row["zero_shot"], row["co_training"]], [y, y], color=BLUE, lw=4, zorder=2)
        closed = f"{row['gap_recovered']:.0%}"
        if row is numbers[0]:
            closed += " of the gap"  # once says it for all
        axes.annotate(
            closed, (row["co_training"], y), (0, 7), color=BLUE,
            textcoords="offset points", ha="center",
        )  # fmt: skip
    for method, colour, label in (
        ("zero_shot", ORANGE, "English labels alone"),
        ("co_training", BLUE, "with Chinese text, without its labels"),
        ("supervised", GREEN, "Chinese labels"),
    ):
        values = [row[method] for row in rows]
        spread = [row[f"{method}_spread"] for row in rows]
        axes.errorbar(
            values, range(len(rows)), xerr=spread, fmt="o", color=colour, ms=6, lw=1, zorder=3,
            label=label,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row["domain"] for row in rows])
    axes.set_ylim(-0.5, len(rows) - 0.2)
    axes.set_xlabel("accuracy on Chinese reviews (%), mean ± standard deviation of five seeds")
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def draw_gain(numbers: Numbers) -> Figure:
    """Gain and spread by method, topics beside reviews."""
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    order = [name for name in reversed(NAMES) if name in {row["method"] for row in numbers}]
    titles = {
        "topic": "topics: 701 English rows",
        "reviews": "five review domains: 1,000 rows",
    }
    for axes, (task, title) in zip(panels, titles.items(), strict=True):
        axes.axvline(0, color=FAINT, lw=1)
        for row in numbers:
            if row["task"] != task:
                continue
            y = order.index(row["method"])
            colour = GREEN if row["method"] in ("joint", "supervised") else BLUE
            axes.errorbar(row["gain"], y, xerr=row["spread"], fmt="o", color=colour, ms=4.5, lw=1)
        axes.set_title(title, color=GREY)
        axes.set_xlabel("points of Chinese accuracy")
        axes.grid(axis="y", color=FAINT, alpha=0.25, lw=0.5)
    panels[0].set_yticks(range(len(order)), [NAMES[name] for name in order])
    figure.suptitle(
        "Gain over zero-shot of the same seed, mean ± standard deviation of five seeds",
        fontsize=9, color=GREY,
    )  # fmt: skip
    return figure


# Where a number would stand on another one.
BESIDE = {"few_shot": (-12, 4), "code_switching": (-12, -8), "continual_alignment": (-13, 4)}


def draw_seconds(numbers: Numbers) -> Figure:
    """What a point of accuracy costs; numbers at the dots, their names in a column."""
    figure, axes = new_figure(6.8, 4.2)
    axes.axhline(0, color=FAINT, lw=1)
    rows = sorted(numbers, key=lambda row: -row["gain"])
    for number, row in enumerate(rows, start=1):
        colour = GREEN if row["method"] in ("joint", "supervised") else BLUE
        axes.plot(row["seconds"], row["gain"], "o", color=colour, ms=5)
        offset = BESIDE.get(row["method"], (4, -8) if number % 2 else (4, 4))
        axes.annotate(
            str(number), (row["seconds"], row["gain"]), offset, textcoords="offset points",
            fontsize=7.5,
        )  # fmt: skip
        axes.text(
            1.03, 1 - number / len(rows), f"{number}  {NAMES[row['method']]}", fontsize=7.5,
            transform=axes.transAxes,
        )  # fmt: skip
    axes.set_xlim(0, 350)
    axes.set_xlabel("seconds on one processor thread, zero-shot included")
    axes.set_ylabel("points over zero-shot, topics")
    return figure


def draw_estimates(numbers: Numbers) -> Figure:
    """Each estimate against the truth, with its interval."""
    figure, axes = new_figure(5.4, 3.9)
    axes.plot([55, 95], [55, 95], color=FAINT, lw=1, ls="--")
    domains = list(dict.fromkeys(row["domain"] for row in numbers))
    for colour, domain in zip(COLOURS, domains, strict=True):
        own = [row for row in numbers if row["domain"] == domain]
        values = [row["estimate"] for row in own]
        below = [row["estimate"] - row["low"] for row in own]
        above = [row["high"] - row["estimate"] for row in own]
        label = "topic" if domain == "zh" else domain
        axes.errorbar(
            [row["truth"] for row in own], values, yerr=[below, above], fmt="o", ms=4.5, lw=0.6,
            color=colour, label=label,
        )  # fmt: skip
    axes.set_xlim(55, 95)
    axes.set_ylim(40, 101)
    axes.set_xlabel("true accuracy in Chinese (%)")
    axes.set_ylabel("estimated without a Chinese label (%)")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def draw_seams() -> Figure:
    """The four places where a transfer method touches training."""
    figure, axes = new_figure(7.2, 3.1)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 46)
    axes.axis("off")
    steps = (
        (2, "data", "Dataset → Dataset", "few-shot, code-switching,\npseudo-labels", BLUE),
        (27, "model", "model → model", "adapters, freezing,\nlanguage adapters", GREEN),
        (52, "loss", "TransferLoss", "DANN, CDAN, MMD, CORAL,\nR-Drop, consistency", ORANGE),
    )
    for x, name, kind, methods, colour in steps:
        box(axes, x, 17, 20, 13, colour)
        axes.text(x + 10, 25.5, name, ha="center", va="center", fontsize=12, color=colour)
        axes.text(x + 10, 20.5, kind, ha="center", va="center", fontsize=8, family="monospace")
        axes.text(x + 10, 12.5, methods, ha="center", va="center", fontsize=7.5)
    box(axes, 77, 17, 20, 13, GREY)
    axes.text(87, 25.5, "step", ha="center", va="center", fontsize=12)
    axes.text(87, 20.5, "TransferTrainer", ha="center", va="center", fontsize=8, family="monospace")
    axes.text(87, 12.5, "optimizer, devices,\ncheckpoints: transformers", ha="center", va="center",
              fontsize=7.5)  # fmt: skip
    for x in (22, 47, 72):
        arrow(axes, (x, 23.5), (x + 5, 23.5), GREY)
    loop, purple = "loop: calls fit(rows) → model more than once", COLOURS[3]
    arrow(axes, (87, 30.5), (12, 30.5), purple, bend=0.16)
    axes.text(49.5, 43.5, loop, ha="center", va="center", fontsize=10, color=purple)
    axes.text(49.5, 39.5, "self-training, guard, averaging, source-free", ha="center", va="center",
              fontsize=7.5)  # fmt: skip
    axes.text(49.5, 3, "rows of both languages travel in one batch and one forward pass",
              ha="center", va="center", fontsize=8)  # fmt: skip
    return figure


def box(axes: Axes, x: float, y: float, width: float, height: float, colour: str) -> None:
    """A rounded frame."""
    shape = "round,pad=0,rounding_size=1.5"
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle=shape, fill=False, ec=colour, lw=1.4)
    )


def arrow(
    axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0
) -> None:
    """An arrow, straight or bent."""
    axes.add_patch(
        FancyArrowPatch(
            begin, end, arrowstyle="-|>", mutation_scale=11, color=colour, lw=1.3,
            connectionstyle=f"arc3,rad={bend}", shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one panel, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


DRAWN: dict[str, Callable[[Numbers], Figure]] = {
    "gap": draw_gap,
    "gain": draw_gain,
    "seconds": draw_seconds,
    "estimates": draw_estimates,
}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]), *sys.argv[2:3])
