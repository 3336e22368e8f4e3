"""Every transfer method on real data: score, interval, gap recovered, seconds.

    python benchmarks/transfer.py --data DATA --domains hotel books --seeds 0 1 2 3 4 \
        --results transfer.jsonl

A cell is a method on a set with a seed. Recipes run as processes of their own, ``--num_workers`` at
a time; results are appended to ``--results`` and not measured again; a failed run is reported and
tried again the next time. Methods that need no target data are trained once for all sets of their
source. The zero-shot model is trained once per source and seed, kept beside the results, and passed
to the methods that start from it; their seconds include its seconds. Prints Markdown. ``DATA``
holds ``reviews/``, ``topic/`` and ``nli/`` in JSON Lines, and ``parallel/`` for the methods that
use a dictionary or sentence pairs. The target's text is that of its training split, whose labels
only few_shot and supervised may read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from results import read_rows
from transfer_runs import (
    DOMAINS,
    METHODS,
    NOT_FOR,
    OF_TARGET,
    REVIEWS,
    Job,
    Settings,
    run,
)
from transfer_table import table

KEYS = ("domain", "method", "seed", "max_train_rows", "model", "max_length", "flags")


def main() -> None:
    """Run the missing cells, then print the table."""
    arguments = parse()
    results = Path(arguments.results)
    settings = Settings(
        data=Path(arguments.data),
        kept=Path(f"{results}.zero_shot"),
        max_train_rows=arguments.max_train_rows,
        model=arguments.model,
        max_length=arguments.max_length,
        flags=arguments.flags,
    )
    if arguments.num_workers > 1:
        os.environ["OMP_NUM_THREADS"] = "1"  # of the runs
    done = {_key(row): row for row in read_rows(results)}
    missing = [
        (domain, method, seed)
        for seed in arguments.seeds
        for domain in arguments.domains
        for method in arguments.methods
        if (domain, method) not in NOT_FOR and _key(settings.cell(domain, method, seed)) not in done
    ]
    failed = []
    with ThreadPoolExecutor(arguments.num_workers) as pool:
        jobs = submit(missing, settings, pool)
        for future in as_completed(jobs):
            job, found = jobs[future], future.result()
            if found is None:
                failed.append(job.name)
                continue
            cells = {
                name: settings.cell(name, job.method, job.seed) | row for name, row in found.items()
            }
            new = [row for row in cells.values() if _key(row) not in done]
            done |= {_key(row): row for row in new}
            with results.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in new)
    asked = [
        row
        for domain in arguments.domains
        for method in arguments.methods
        for seed in arguments.seeds
        if (row := done.get(_key(settings.cell(domain, method, seed))))
    ]
    lines = table(asked, domains=DOMAINS, methods=METHODS, averaged=REVIEWS)
    sys.stdout.write("\n".join(lines) + "\n")
    if failed:
        sys.exit("failed: " + ", ".join(failed))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder with reviews/, topic/, nli/, ...")
    parser.add_argument("--results", default="transfer.jsonl", help="one JSON line per cell")
    parser.add_argument("--domains", nargs="+", default=list(DOMAINS), choices=DOMAINS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--num_workers", type=int, default=1, help="above 1: one thread per run")
    parser.add_argument(
        "--max_train_rows", type=int, help="at most this many rows of each training set"
    )
    parser.add_argument("--max_length", type=int, default=128, help="tokens of a row")
    parser.add_argument("--model", help="encoder folder or hub id; default: the embedded one")
    parser.add_argument(
        "--flags", nargs=argparse.REMAINDER, default=[], help="flags for all runs; must come last"
    )
    return parser.parse_args()


def submit(
    cells: list[tuple[str, str, int]], settings: Settings, pool: ThreadPoolExecutor
) -> dict[Future, Job]:
    """Start a run for each cell, or for cells that share one; runs that others need go first."""
    jobs = dict.fromkeys(job_of(*cell) for cell in cells)
    zero_shot: dict[Job, Future] = {}
    submitted: dict[Future, Job] = {}
    for seed in dict.fromkeys(job.seed for job in jobs):
        own = [job for job in jobs if job.seed == seed]
        waiting = {job: models_of(job) for job in own if job.flag_for_model}
        first = [model for models in waiting.values() for model in models]
        # Runs that wait for no model come between the models and the runs that wait for them.
        for job in dict.fromkeys([*first, *(job for job in own if job not in waiting)]):
            if job in zero_shot:  # an earlier seed needed it
                continue
            future = pool.submit(run, job, settings)
            submitted[future] = job
            if job.method == "zero_shot":
                zero_shot[job] = future
        for job, models in waiting.items():
            started = [zero_shot[model] for model in models]
            submitted[pool.submit(run, job, settings, started)] = job
    return submitted


def models_of(job: Job) -> list[Job]:
    """The zero-shot runs whose models a job takes."""
    return [job_of(job.domains[0], "zero_shot", seed) for seed in job.seeds_of_models]


def job_of(domain: str, method: str, seed: int) -> Job:
    """The run that gives a cell."""
    if set(OF_TARGET) & set(METHODS[method].needs):
        return Job((domain,), method, seed)
    group = DOMAINS[domain]["group"]
    sets = (name for name, one in DOMAINS.items() if one["group"] == group)
    return Job(tuple(sets), method, seed)


def _key(row: dict) -> str:
    return json.dumps([row.get(key) for key in KEYS])


if __name__ == "__main__":
    main()
