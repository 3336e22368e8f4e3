"""Vocabulary trimming: the tokens that a model needs, and the model without the others."""

from xlingual.vocabulary.trim_report import TrimReport
from xlingual.vocabulary.trimming import trim_vocabulary

__all__ = ["TrimReport", "trim_vocabulary"]
