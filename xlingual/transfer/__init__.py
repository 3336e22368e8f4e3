"""Transfer methods: one file per method, in the folder of the seam where it acts.

Each method acts on one part of training: the data (``Dataset -> Dataset``), the model
(``model -> model``), the loss, or the loop (it trains more than once).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
