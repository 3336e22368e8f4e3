"""Transfer methods: one method, one file.

Each acts at one of four seams: the data (``Dataset -> Dataset``), the model (``model -> model``),
the loss, or the training loop.
"""

from xlingual.transfer.few_shot import sample_few_shot
from xlingual.transfer.guard import better_on

__all__ = ["better_on", "sample_few_shot"]
