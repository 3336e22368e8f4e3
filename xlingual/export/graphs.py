"""Convert a PyTorch model to an ONNX graph in fp32, and that graph to int8."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from xlingual.errors import ExportError, ModelLoadError
from xlingual.inference.classifier_loading import Classifier
from xlingual.inference.onnx_session import PRECISIONS, load_onnx_model

__all__ = ["base_model_of", "write_graphs"]

_EXTERNAL_FROM = 1_800_000_000  # bytes; a protobuf file holds less than 2 GiB
_LONGEST_REASON = 200  # characters; onnxruntime lists every type that a node was given


class _Logits(nn.Module):
    """A classifier with positional inputs and its logits alone, as the exporter wants it."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def write_graphs(
    source: Classifier, folder: Path, *, precision: Sequence[str], opset: int | None
) -> None:
    """Write the graphs of these precisions; int8 is always made from fp32.

    Raises:
        ExportError: The exporter cannot follow the model, or onnxruntime cannot run the graph.
        OSError: The disk is full or cannot be written.
    """
    model = model_of(source)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    is_external = size > _EXTERNAL_FROM
    full = folder / PRECISIONS["fp32"]
    with _quiet():
        with _export_errors(source, "converted to ONNX"):
            program = _trace(source, opset=opset)
            program.save(str(full), external_data=is_external)
        _check_that_it_runs(source, folder, "fp32")
        if "int8" in precision:
            with _export_errors(source, "quantised to int8"):
                _quantize(full, folder / PRECISIONS["int8"], is_external=is_external)
            _check_that_it_runs(source, folder, "int8")
    if "fp32" not in precision:
        for path in folder.glob(f"{full.name}*"):
            path.unlink()


def _trace(source: Classifier, *, opset: int | None) -> Any:
    names = _input_names(source)
    # The exporter would take a size of one, or two equal sizes, for constants.
    ids = torch.full((2, 11), source.tokenizer.pad_token_id)
    ids[:, :7] = torch.arange(3, 10) % len(source.tokenizer)
    values = {
        "input_ids": ids,
        "attention_mask": (torch.arange(11) < 7).long().expand(2, 11).contiguous(),
        "token_type_ids": torch.zeros_like(ids),
    }
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        return torch.onnx.export(
            _Logits(model_of(source), names).eval(),
            tuple(values[name] for name in names),
            dynamo=True,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=((dynamic,) * len(names),),
            opset_version=opset,
            verbose=False,
        )


@contextmanager
def _export_errors(source: Classifier, what: str) -> Iterator[None]:
    """Turn every failure of the tracer or the quantiser into one error."""
    try:
        yield
    except OSError:  # a full disk is not the model's fault
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise ExportError(
            f"{source.folder} cannot be {what}: {type(error).__name__}: {reason}"
        ) from error


def _check_that_it_runs(source: Classifier, folder: Path, precision: str) -> None:
    try:
        load_onnx_model(folder, precision=precision)
    except ModelLoadError as error:
        lines = str(error.__cause__).strip().splitlines() or ["no reason given"]
        reason = lines[0].rpartition(" failed:")[2]  # before it comes a temporary folder
        raise ExportError(
            f"onnxruntime cannot run the {precision} graph made of {source.folder}; leave the "
            f"opset out, or name one that it knows ({reason[:_LONGEST_REASON]})"
        ) from error


def _quantize(source: Path, target: Path, *, is_external: bool) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    # The quantiser transposes weights and then fails on their recorded shapes; it infers its own.
    del model.graph.value_info[:]
    _quantize_embeddings(model.graph)
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        use_external_data_format=is_external,
        # Only products with weights: for attention, the rounding costs more than it gains.
        extra_options={"MatMulConstBOnly": True},
    )


def _quantize_embeddings(graph: Any) -> None:
    r"""Store embedding tables as int8 with one scale per row, applied to the rows looked up.

    .. math:: e_i \approx s_i q_i, \quad s_i = \max_j |e_{ij}| / 127

    onnxruntime's own quantisation of Gather has one scale for the whole table, which a single
    large row makes coarse for all others: on the embedded encoder that costs over two points.
    """
    from onnx import TensorProto, helper, numpy_helper

    tables = {entry.name: entry for entry in graph.initializer if len(entry.dims) == 2}
    uses = Counter(name for node in graph.node for name in node.input)
    nodes = []
    for node in graph.node:
        name = node.input[0] if node.op_type == "Gather" else ""
        is_table = name in tables and uses[name] == 1
        axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 0)
        if not is_table or axis != 0 or tables[name].data_type != TensorProto.FLOAT:
            nodes.append(node)
            continue
        table = numpy_helper.to_array(tables[name])
        scales = np.abs(table).max(axis=1, keepdims=True) / 127
        integers = np.rint(table / np.where(scales > 0, scales, 1)).astype(np.int8)
        graph.initializer.remove(tables[name])
        quantized, row_scales = f"{name}_int8", f"{name}_scales"
        graph.initializer.append(numpy_helper.from_array(integers, quantized))
        graph.initializer.append(numpy_helper.from_array(scales.astype(np.float32), row_scales))
        (ids,), (found,) = node.input[1:], node.output
        nodes += [
            helper.make_node("Gather", [quantized, ids], [f"{found}_int8"]),
            helper.make_node("Gather", [row_scales, ids], [f"{found}_scales"]),
            helper.make_node("Cast", [f"{found}_int8"], [f"{found}_cast"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{found}_cast", f"{found}_scales"], [found]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def model_of(source: Classifier) -> nn.Module:
    """The PyTorch model, an adapter's wrapper included where it could not be merged."""
    model: nn.Module = source.session.model  # type: ignore[attr-defined]
    return model


def _input_names(source: Classifier) -> list[str]:
    names = ["input_ids", "attention_mask"]
    # With a single token type the input is constant, whatever the tokenizer returns.
    has_types = getattr(base_model_of(source).config, "type_vocab_size", 0) > 1
    if has_types and "token_type_ids" in source.tokenizer.model_input_names:
        names.append("token_type_ids")
    return names


def base_model_of(source: Classifier) -> Any:
    """The PyTorch model, without an adapter's wrapper."""
    model: Any = model_of(source)
    return getattr(model, "get_base_model", lambda: model)()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the internals that exporter and quantiser report as warnings and in the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
