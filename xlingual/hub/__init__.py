"""Pushing a finished model to a hub: Hugging Face and its mirrors, and ModelScope.

``xlingual.training.pushing`` holds what a trainer needs; it imports torch, and these two do not.
"""

from xlingual.hub.huggingface import push_folder
from xlingual.hub.modelscope import push_to_modelscope

__all__ = ["push_folder", "push_to_modelscope"]
