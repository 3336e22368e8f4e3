"""Saving: folders that are checked for lost parameters, read back, and never half-written."""

from xlingual.saving.beside import clear_unfinished, folder_beside, whole_checkpoint
from xlingual.saving.completeness import check_complete
from xlingual.saving.merging import merge_adapter
from xlingual.saving.readback import check_read_back
from xlingual.saving.trained import finish_saved

__all__ = [
    "check_complete",
    "check_read_back",
    "clear_unfinished",
    "finish_saved",
    "folder_beside",
    "merge_adapter",
    "whole_checkpoint",
]
