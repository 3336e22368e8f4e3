"""Export a trained classifier to ONNX graphs, in fp32 and int8, that run without PyTorch."""

from xlingual.export.export_report import ExportReport
from xlingual.export.exporting import export_onnx
from xlingual.inference.onnx_session import PRECISIONS, load_onnx_model

__all__ = ["PRECISIONS", "ExportReport", "export_onnx", "load_onnx_model"]
