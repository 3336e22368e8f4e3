"""Scores, their intervals and the transfer gap. Nothing here needs torch or a network.

The functions are pure and import only numpy. Names are imported on first use, because
``import evaluate``, which the ``evaluate.Metric`` classes need, takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
