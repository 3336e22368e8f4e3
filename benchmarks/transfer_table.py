"""The table of ``benchmarks/transfer.py``: means and intervals over seeds, gap recovered, costs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from results import percent

from xlingual.evaluation import gap_recovered


def table(
    rows: list[dict], *, domains: Iterable[str], methods: Iterable[str], averaged: Iterable[str]
) -> list[str]:
    """Markdown: one line per set and method, then the mean over the sets ``averaged``."""
    methods = list(methods)
    lines = [
        "| set | method | seeds | zh accuracy | 95% over seeds | gap recovered | seconds | "
        "peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        of_set = scores.setdefault(row["domain"], {})
        of_set.setdefault(row["method"], {})[row["seed"]] = row["eval_zh_accuracy"]
    for domain in [domain for domain in domains if domain in scores]:
        group = [row for row in rows if row["domain"] == domain]
        lines += _lines(domain, scores[domain], group, methods)
    there = [domain for domain in averaged if domain in scores]
    if len(there) > 1:
        mean = _mean([scores[domain] for domain in there])
        group = [row for row in rows if row["domain"] in there]
        lines += _lines(f"mean of {len(there)} review domains", mean, group, methods)
    return lines


def _mean(parts: list[dict[str, dict[int, float]]]) -> dict[str, dict[int, float]]:
    """Means over the domains, of the methods and seeds that every domain has."""
    mean = {}
    for method in parts[0]:
        seeds = set.intersection(*(set(part.get(method, {})) for part in parts))
        if seeds:
            mean[method] = {
                seed: statistics.mean(part[method][seed] for part in parts)
                for seed in sorted(seeds)
            }
    return mean


def _lines(
    name: str, scores: dict[str, dict[int, float]], rows: list[dict], methods: list[str]
) -> list[str]:
    lines = []
    means = {method: statistics.mean(each.values()) for method, each in scores.items()}
    for method in [method for method in methods if method in scores]:
        values = [100 * value for value in scores[method].values()]
        mean, gap = statistics.mean(values), "-"
        spread, interval = "", "-"
        if len(values) > 1:
            deviation = statistics.stdev(values)
            half = _t_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
            spread, interval = f" ± {deviation:.1f}", f"{mean - half:.1f} to {mean + half:.1f}"
        if {"zero_shot", "supervised"} <= means.keys():
            share = gap_recovered(
                method=means[method],
                zero_shot=means["zero_shot"],
                supervised=means["supervised"],
            )
            gap = percent(share)
        own = [row for row in rows if row["method"] == method]
        seconds, memory = (
            statistics.mean(row[key] for row in own) for key in ("seconds", "peak_memory_mib")
        )
        lines.append(
            f"| {name} | {method} | {len(values)} | {mean:.1f}{spread} | {interval} | {gap} | "
            f"{seconds:.0f} | {memory:.0f} |"
        )
    return lines


def _t_quantile(degrees: int) -> float:
    """The quantile of Student's t for a 95% interval of a mean."""
    from scipy.stats import t

    return float(t.ppf(0.975, degrees))
