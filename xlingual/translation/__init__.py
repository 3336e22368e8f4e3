"""Translation by a local sequence-to-sequence model, for training and test data."""

from xlingual.translation.translating import translate_texts, translations_of
from xlingual.translation.translator import Translator

__all__ = ["Translator", "translate_texts", "translations_of"]
