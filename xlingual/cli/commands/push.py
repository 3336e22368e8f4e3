"""Push a saved model to a hub in one commit: ``xlingual push FOLDER REPO``.

FOLDER holds a full model, an adapter or an export. Checkpoints, training state and predictions with
your texts are not uploaded; pickled weights are refused. The token comes from HF_TOKEN or `hf auth
login` (MODELSCOPE_API_TOKEN or `modelscope login`) and is never a flag, because every user of the
machine can see the flags of a process. HF_ENDPOINT can name a mirror.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual push``."""
    add = parser.add_argument
    add("folder", help="folder of a saved model")
    add("repo", help="namespace/name on the hub; created if it does not exist")
    add("--hub", default="huggingface", choices=("huggingface", "modelscope"), help="which hub")
    add("--private", action="store_true", help="make a new repository private")
    add("--revision", help="branch to commit to; created if it does not exist")
    add("--message", help="first line of the commit message")
    add(
        "--replace_labels",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="replace a model that has other labels",
    )


def main(options: argparse.Namespace) -> None:
    """Push, and print the address of the model."""
    from xlingual.hub import push_folder, push_to_modelscope

    push = push_to_modelscope if options.hub == "modelscope" else push_folder
    address = push(
        options.folder,
        options.repo,
        private=True if options.private else None,
        commit_message=options.message,
        revision=options.revision,
        replace_labels=options.replace_labels == "true",
    )
    sys.stdout.write(f"{address}\n")
