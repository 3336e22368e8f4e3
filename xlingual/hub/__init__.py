"""Push a finished model to a hub: Hugging Face and its mirrors, and ModelScope.

``xlingual.training.pushing`` is the trainer's side; it imports torch, and these modules do not.
"""

from xlingual.hub.huggingface import push_folder
from xlingual.hub.modelscope import push_to_modelscope

__all__ = ["push_folder", "push_to_modelscope"]
