"""Wall time of TransferTrainer against forty lines of stock Trainer, alternating.

    python benchmarks/speed.py --epochs 3 --rounds 5

Same model, data, epochs and threads; every run is a process of its own. ``run`` is the time that a
user waits after the imports: loading, tokenising, training, saving. ``process`` includes the
imports, ``train`` is Trainer's own figure, and ``cpu`` is the processor time of ``run``, which with
``--threads 1`` is also valid on a busy machine. A ratio below 1 means that TransferTrainer is
faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MEASURES = ("run", "train", "process", "cpu")
STOCK_BATCH = ("--per_device_train_batch_size=8",)
VARIANTS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "same batch size (8)": STOCK_BATCH,
    "same batch size, all parameters trained": (*STOCK_BATCH, "--freeze_embeddings=false"),
    "same, and float32": (*STOCK_BATCH, "--freeze_embeddings=false", "--precision=fp32"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    corpus = HERE.parent / "xlingual" / "assets" / "corpus" / "source_train.jsonl"
    parser.add_argument("--source_train", default=str(corpus), help="text and label, JSON Lines")
    parser.add_argument(
        "--model_name_or_path", default=str(HERE.parent / "xlingual" / "assets" / "encoder")
    )
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS)[:3], choices=VARIANTS)
    return parser.parse_args()


def measure(script: str, flags: list[str], *, threads: int) -> dict[str, float]:
    """Run a script in an empty folder; returns its figures and the seconds of the process."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = str(HERE.parent)
    with tempfile.TemporaryDirectory() as folder:
        # No cache: reading and tokenising are part of the run.
        environment["HF_DATASETS_CACHE"] = f"{folder}/cache"
        command = [sys.executable, str(HERE / script), *flags, f"--output_dir={folder}/out"]
        started = time.perf_counter()
        finished = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd=folder
        )
        seconds = time.perf_counter() - started
    if finished.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{finished.stderr}")
    figures = json.loads(finished.stdout.rpartition("MEASURED")[2])
    return {**figures, "process": seconds}


def describe(values: list[float]) -> str:
    return f"{statistics.median(values):7.2f} [{min(values):.2f}, {max(values):.2f}]"


def main() -> None:
    options = parse()
    flags = [
        f"--source_train={Path(options.source_train).resolve()}",
        f"--model_name_or_path={options.model_name_or_path}",
        f"--num_train_epochs={options.epochs}",
    ]
    stock: list[dict[str, float]] = []
    ours: dict[str, list[dict[str, float]]] = {name: [] for name in options.variants}
    for round_number in range(options.rounds):
        stock.append(measure("stock_trainer.py", flags, threads=options.threads))
        for name in options.variants:
            more = [*flags, *VARIANTS[name]]
            ours[name].append(measure("transfer_trainer.py", more, threads=options.threads))
        print(f"round {round_number + 1} of {options.rounds} done", file=sys.stderr)
    print(f"{options.rounds} rounds, {options.epochs:g} epochs, {options.threads} threads")
    print("median [lowest, highest]; the ratio is taken within each round")
    for measure_name in MEASURES:
        seconds = [figures[measure_name] for figures in stock]
        print(f"\n{measure_name + ', s':<42}stock  {describe(seconds)}")
        for name, runs in ours.items():
            taken = [figures[measure_name] for figures in runs]
            ratios = [mine / theirs for mine, theirs in zip(taken, seconds, strict=True)]
            print(f"  {name:<40}ours   {describe(taken)}   ratio {describe(ratios)}")


if __name__ == "__main__":
    main()
