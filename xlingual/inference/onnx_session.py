"""An exported graph as a ``Session``: arrays in, logits out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xlingual.errors import ConfigError, ModelLoadError, require
from xlingual.inference.batches import Session

__all__ = ["PRECISIONS", "load_onnx_model"]

PRECISIONS = {"fp32": "model.onnx", "int8": "model_int8.onnx"}
"""The file of each precision."""


def load_onnx_model(
    folder: str | Path, *, precision: str = "auto", num_threads: int | None = None
) -> Session:
    """Load an exported classifier as a function from token ids to logits, on the CPU.

    Args:
        folder: An exported folder.
        precision: ``"fp32"``, ``"int8"``, or ``"auto"``: fp32, or int8 if there is no fp32.
        num_threads: Threads of one call; ``None``: onnxruntime's choice, all cores.

    Returns:
        A function that takes int64 ``input_ids``, ``attention_mask`` (and ``token_type_ids``, if
        the graph has it) of (rows, length), and returns float32 logits of (rows, labels) or (rows,
        length, labels).

    Raises:
        ModelLoadError: There is no such file, or it is not an ONNX graph.
        ConfigError: An unknown precision.
        MissingDependencyError: onnxruntime is not installed.
    """
    onnxruntime = require("onnxruntime", extra="export")
    if precision not in {"auto", *PRECISIONS}:
        known = ", ".join(["auto", *PRECISIONS])
        raise ConfigError(
            f"precision of an exported model must be one of {known}; got {precision!r}"
        )
    there = [kind for kind, name in PRECISIONS.items() if (Path(folder) / name).is_file()]
    kind = next(iter(there), "fp32") if precision == "auto" else precision
    path = Path(folder) / PRECISIONS[kind]
    if not path.is_file():
        raise ModelLoadError(
            f"{folder} has no {path.name}; expected a folder written by xlingual export in {kind}"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = num_threads or 0
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions have no common base class
        reason = str(error).strip().splitlines()[0]
        raise ModelLoadError(
            f"{path} is not an ONNX graph that can be run; export the model again ({reason})"
        ) from error
    inputs = [entry.name for entry in session.get_inputs()]

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        # Rows without pairs may lack token types, which are then all 0.
        zeros = np.zeros_like(batch["input_ids"])
        feed = {name: np.asarray(batch.get(name, zeros), dtype=np.int64) for name in inputs}
        logits: np.ndarray = session.run(["logits"], feed)[0]
        return logits

    run.dtype = kind  # type: ignore[attr-defined]  # a resumed file must use the same one
    return run
