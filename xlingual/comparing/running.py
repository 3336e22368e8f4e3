"""Run recipes as processes of their own: start and resume them, and record failures."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
import yaml

from xlingual.errors import ConfigError, OutputError
from xlingual.evaluation.prediction_rows import predictions_path

try:
    import fcntl
except ImportError:  # Windows, where two comparisons in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["ComparedRun", "FinishedRun", "run_all"]

logger = logging.getLogger(__name__)

_DISTRIBUTED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
                "MASTER_PORT")  # fmt: skip


@dataclass(frozen=True)
class ComparedRun:
    """One training: a recipe and all its settings.

    Args:
        method: Name of the method in the table.
        seed: Its seed.
        recipe: The recipe's file.
        settings: Flags of the recipe, without ``seed`` and ``output_dir``.
        after: Name of the run whose model this one starts from, and which it waits for.
    """

    method: str
    seed: int
    recipe: Path
    settings: Mapping[str, Any]
    after: str | None = None

    @property
    def name(self) -> str:
        """Name of its folder, and of the ``.yaml`` and ``.log`` beside it."""
        return f"{self.method}-{self.seed}"


@dataclass(frozen=True)
class FinishedRun:
    """The outcome of a run.

    Attributes:
        run: The run.
        folder: Its output folder.
        seconds: Wall time of the process over all its starts, plus that of the run that it waited
            for; None if not recorded.
        error: One line; None if the run has a result.
    """

    run: ComparedRun
    folder: Path
    seconds: float | None
    error: str | None


def run_all(
    runs: Sequence[ComparedRun],
    *,
    output_dir: str | Path,
    num_workers: int | None = None,
    overwrite: bool = False,
) -> list[FinishedRun]:
    """Run all runs that have no result yet, in parallel on several GPUs.

    A run is ``python RECIPE --config OUTPUT_DIR/NAME.yaml``, as a user would start it. A run with
    an ``all_results.json`` is not repeated, an unfinished one resumes from its last checkpoint, and
    a failed one does not stop the others.

    Args:
        runs: Runs with different names; a run comes after the one that it waits for.
        output_dir: Holds the folder, the settings and the log of each run.
        num_workers: Processes at a time; None: one per GPU, or one. Each process sees one GPU.
        overwrite: Repeat all runs.

    Returns:
        One entry per run, in the order of ``runs``.

    Raises:
        ConfigError: An existing result was made with other settings.
        OutputError: A run started by an earlier comparison is still going on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "a comparison starts its own processes; run it with python and --num_workers, not with "
            "accelerate launch on several processes"
        )
    folder = _folder(output_dir)
    open_runs = [run for run in runs if overwrite or not _has_result(folder / run.name)]
    for run in runs:
        _write_settings(run, folder, overwrite=overwrite)
    logger.info("%d runs, %d of them already finished", len(runs), len(runs) - len(open_runs))
    devices = _devices()
    num_workers = num_workers or max(1, len(devices))
    workers = _Workers(folder, devices, num_workers, overwrite)
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            submitted: dict[str, Future[str | None]] = {}
            for run in open_runs:
                first = submitted.get(run.after) if run.after else None
                submitted[run.name] = pool.submit(workers.run, run, first)
            futures = list(submitted.values())
            wait(futures, return_when=FIRST_EXCEPTION)
            errors = [future.result() for future in futures if future.done()]
        finally:  # after an error or Ctrl-C: start nothing more, and leave nothing running
            workers.stop()
            pool.shutdown(cancel_futures=True)
    ended = {run.name: error for run, error in zip(open_runs, errors, strict=True)}
    recorded = _recorded_seconds(folder)

    def seconds_of(run: ComparedRun) -> float | None:
        parts = [recorded.get(name) for name in (run.name, run.after) if name]
        return None if None in parts else sum(part or 0.0 for part in parts)

    return [
        FinishedRun(run, folder / run.name, seconds_of(run), ended.get(run.name)) for run in runs
    ]


class _Workers:
    """The workers' shared state: free devices and running processes."""

    def __init__(
        self, folder: Path, devices: Sequence[str], num_workers: int, overwrite: bool
    ) -> None:
        self.folder, self.num_workers, self.overwrite = folder, num_workers, overwrite
        self.free_devices: queue.Queue[str | None] = queue.Queue()
        for worker in range(num_workers):
            self.free_devices.put(devices[worker % len(devices)] if devices else None)
        self.processes: set[subprocess.Popen[bytes]] = set()
        self.lock = threading.Lock()
        self.stopped = False

    def run(self, run: ComparedRun, first: Future[str | None] | None = None) -> str | None:
        """Run one and record its seconds; returns its error in one line, or None."""
        if first is not None and first.result() is not None:
            return f"{run.after}, whose model it starts from, failed"
        device = self.free_devices.get()
        try:
            started = time.perf_counter()
            code = self._wait_for(run, device)
            if code is None:
                return None
            line = {"run": run.name, "seconds": round(time.perf_counter() - started, 2)}
            with self.lock, (self.folder / "runs.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({**line, "exit_code": code}) + "\n")
        finally:
            self.free_devices.put(device)
        if self.stopped:
            return None
        error = None if code == 0 else _error_line(self.folder / f"{run.name}.log", code)
        logger.info("%s: %s", run.name, error or f"done in {line['seconds']:.0f} s")
        return error

    def _wait_for(self, run: ComparedRun, device: str | None) -> int | None:
        folder = self.folder / run.name
        command = [sys.executable, str(run.recipe), "--config", f"{folder}.yaml"]
        if self.overwrite:
            command += ["--overwrite_output", "true"]
        elif folder.is_dir() and any(folder.iterdir()):
            command += ["--resume_from_checkpoint", "true"]
        with Path(f"{folder}.log").open("ab") as log:
            _lock(log, run)
            with self.lock:
                if self.stopped:
                    return None
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    env=_environment(device, self.num_workers),
                )  # fmt: skip
                self.processes.add(process)
        try:
            return process.wait()
        finally:
            with self.lock:
                self.processes.discard(process)

    def stop(self) -> None:
        """Terminate the running processes; a later start resumes them."""
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()


def _lock(log: IO[bytes], run: ComparedRun) -> None:
    """Lock the log for as long as the process lives, even if the comparison is killed first."""
    if fcntl is None:
        return
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise OutputError(
            f"{run.name} is still running, started by an earlier comparison; wait until it ends, "
            f"or stop the process that writes {log.name}"
        ) from error


def _folder(output_dir: str | Path) -> Path:
    folder = Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"--output_dir {folder} cannot be created: {error.strerror}") from error
    return folder


def _write_settings(run: ComparedRun, folder: Path, *, overwrite: bool) -> None:
    path = folder / f"{run.name}.yaml"
    settings = {**run.settings, "seed": run.seed, "output_dir": str(folder / run.name)}
    text = yaml.safe_dump(settings, allow_unicode=True)
    is_same = not path.is_file() or path.read_text(encoding="utf-8") == text
    if not is_same and not overwrite and (folder / run.name).is_dir():
        raise ConfigError(
            f"{folder / run.name} was begun with other settings (see {path.name} beside it); use "
            "another --output_dir, or --overwrite_output true to repeat all runs"
        )
    path.write_text(text, encoding="utf-8")


def _has_result(folder: Path) -> bool:
    """Whether a run finished, and was not killed while it wrote its results."""
    try:
        results = json.loads((folder / "all_results.json").read_text(encoding="utf-8"))
        for key in results:
            if key.startswith("eval_") and key.endswith("_rows"):
                name = key.removeprefix("eval_").removesuffix("_rows")
                lines = predictions_path(folder, name).read_bytes().count(b"\n")
                if lines < results[key]:
                    return False
    except (OSError, ValueError):
        return False
    return True


def _recorded_seconds(folder: Path) -> dict[str, float]:
    seconds: dict[str, float] = defaultdict(float)
    path = folder / "runs.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        record = json.loads(line)
        seconds[record["run"]] += record["seconds"]
    return seconds


def _devices() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    if not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def _environment(device: str | None, num_workers: int) -> dict[str, str]:
    variables = {key: value for key, value in os.environ.items() if key not in _DISTRIBUTED}
    if device is not None:
        variables["CUDA_VISIBLE_DEVICES"] = device
    elif num_workers > 1:  # otherwise every process would use all cores
        threads = max(1, (os.cpu_count() or 1) // num_workers)
        variables.setdefault("OMP_NUM_THREADS", str(threads))
    return variables


def _error_line(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said[-20:] if line.startswith("error: ")]
    last = (errors or said or ["no output"])[-1].removeprefix("error: ")
    return f"exit code {code}: {last[:300]}"
