"""The vocabulary of a model: what of it is needed, and the same model without the rest."""

from xlingual.vocabulary.trim_report import TrimReport
from xlingual.vocabulary.trimming import trim_vocabulary

__all__ = ["TrimReport", "trim_vocabulary"]
