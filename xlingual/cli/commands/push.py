"""A saved model to a hub, in one commit: ``xlingual push FOLDER REPO``.

Takes the folder of a full model, an adapter or an export. Checkpoints, the state of a run and
predictions with your texts stay at home; pickled weights are refused. The token is that of HF_TOKEN
or `hf auth login` (MODELSCOPE_API_TOKEN or `modelscope login`), never a flag: flags are seen by
everybody on the machine. HF_ENDPOINT names a mirror.
"""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_flags", "main"]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of ``xlingual push``."""
    add = parser.add_argument
    add("folder", help="folder of a saved model")
    add("repo", help="namespace/name on the hub; made if it is not there")
    add("--hub", default="huggingface", choices=("huggingface", "modelscope"), help="which hub")
    add("--private", action="store_true", help="make a new repository private")
    add("--revision", help="branch to commit to; made if it is not there")
    add("--message", help="first line of the commit")
    add(
        "--replace_labels",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="push over a model that has other labels",
    )


def main(options: argparse.Namespace) -> None:
    """Push, and say where it is."""
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
