"""Cross-lingual NLP transfer: train where you have labels, be right where you have none.

``import xlingual`` is light: a name is imported from its module when it is first used. The names
and their modules stand once, in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
