"""Push to ModelScope (``MODELSCOPE_ENDPOINT`` can name another server) with its own client."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xlingual.errors import MissingDependencyError, OutputError, XlingualError, require
from xlingual.hub.contents import (
    ModelFolder,
    check_labels,
    label_space_of,
    read_model_folder,
    scrub,
)
from xlingual.hub.huggingface import check_repo_id
from xlingual.hub.retries import retrying
from xlingual.labels import LabelSpace

__all__ = ["push_to_modelscope"]

logger = logging.getLogger(__name__)


def push_to_modelscope(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
    replace_labels: bool = False,
) -> str:
    """Upload the folder of a saved model to ModelScope.

    The same files are uploaded as by ``push_folder``, but from a copy, because the client would
    write its cache into the folder. It commits in batches: if a push fails half-way, the next one
    completes it.

    Args:
        folder: A full model, an adapter, or an exported model. It is only read.
        repo_id: ``owner/name``; created if it does not exist.
        private: Whether a new repository is private; None: public.
        token: Access token; None: ``MODELSCOPE_API_TOKEN``, or that of ``modelscope login``.
        commit_message: First line of the commit message.
        revision: Branch to commit to; None: ``master``.
        replace_labels: Whether a model with other label names may be replaced.

    Returns:
        The address of the model.

    Raises:
        MissingDependencyError: The client is not installed.
        ConfigError: An illegal repository id, or a token in a file.
        ModelLoadError: The folder holds no model that may be pushed.
        LabelSpaceError: The repository holds a model with other labels.
        OutputError: The hub cannot be reached, or refuses; the folder is unchanged.
    """
    client = _require_client()
    check_repo_id(repo_id)
    if "/" not in repo_id:
        raise OutputError(f"ModelScope needs owner/name as a repository id; got {repo_id!r}")
    config = client.HubConfig(token=token)
    model = read_model_folder(folder, repo_id=repo_id, token=config.token)

    def push() -> str:
        api = client.HubApi(config)
        is_new = _prepare_repo(client, api, repo_id, private=bool(private))
        if not is_new and not replace_labels:
            there = _remote_labels(client, api, repo_id, revision)
            check_labels(model.label_space, there, repo_id=repo_id)
        with tempfile.TemporaryDirectory(prefix="xlingual-push-") as copy:
            _copy(model, Path(copy))
            api.upload_folder(
                repo_id,
                "model",
                copy,
                commit_message=commit_message or "Upload model",
                revision=revision or "master",
                disable_tqdm=True,
            )
        return f"{config.endpoint}/models/{repo_id}"

    address = _with_retries(push, repo_id=repo_id, token=config.token, folder=model.path)
    logger.info("pushed %d files of %s: %s", len(model.files), model.path, address)
    return address


def _require_client() -> Any:
    try:
        return require("modelscope_hub", extra="modelscope")
    except MissingDependencyError as error:
        raise MissingDependencyError(
            "--hub modelscope needs ModelScope's client, which cannot be imported; install it "
            'with: pip install "xlingual[modelscope]"'
        ) from error


def _prepare_repo(client: Any, api: Any, repo_id: str, *, private: bool) -> bool:
    """Create the repository if it does not exist; returns whether it is new."""
    if not api.repo_exists(repo_id, "model"):
        api.create_repo(repo_id, "model", visibility="private" if private else "public")
        return True
    if private and api.get_repo(repo_id, "model").visibility != client.Visibility.PRIVATE:
        raise OutputError(
            f"{repo_id} exists and is not known to be private, but a private repository was "
            "requested; give another name, or make it private on the hub first"
        )
    return False


def _remote_labels(client: Any, api: Any, repo_id: str, revision: str | None) -> LabelSpace | None:
    with tempfile.TemporaryDirectory(prefix="xlingual-push-") as folder:
        try:
            path = api.download_file(
                repo_id, "model", "config.json", revision=revision or "master", local_dir=folder
            )
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (client.NotExistError, json.JSONDecodeError):
            return None
    return label_space_of(content) if isinstance(content, dict) else None


def _copy(model: ModelFolder, target: Path) -> None:
    for name, file in model.files.items():
        to = target / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file, bytes):
            to.write_bytes(file)
        else:
            try:  # a link saves copying a large file
                os.link(file.resolve(), to)
            except OSError:
                to.write_bytes(file.read_bytes())


def _with_retries(push: Callable[[], str], *, repo_id: str, token: str | None, folder: Path) -> str:
    def reason(error: BaseException) -> str:
        return scrub(error, token)[:300] or type(error).__name__

    try:
        return retrying(_is_transient, reason=reason, hub="ModelScope")(push)
    except XlingualError:
        raise
    except Exception as error:  # the client raises its own, requests' and ValueErrors
        raise OutputError(
            f"ModelScope refuses {repo_id} ({reason(error)}); check the token "
            f"(MODELSCOPE_API_TOKEN, or `modelscope login`) and its permissions; {folder} is kept "
            f"as it is: push it later with: xlingual push {folder} {repo_id} --hub modelscope"
        ) from None


def _is_transient(error: BaseException) -> bool:
    return bool(getattr(error, "retryable", isinstance(error, ConnectionError)))
