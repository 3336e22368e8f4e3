"""Inference: a saved model's labels, probabilities and spans, for rows in memory or in files."""

from xlingual.inference.prediction_files import FileReport, predict_file
from xlingual.inference.predictor import Predictor
from xlingual.inference.results import Prediction, Span

__all__ = ["FileReport", "Prediction", "Predictor", "Span", "predict_file"]
