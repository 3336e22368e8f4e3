"""Push to the Hugging Face hub or a mirror of it (``HF_ENDPOINT``), in one commit."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    hf_hub_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HFValidationError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from xlingual.errors import ConfigError, OutputError
from xlingual.hub.contents import check_labels, label_space_of, read_model_folder
from xlingual.hub.retries import how_to_push_later, with_retries
from xlingual.labels import LabelSpace

__all__ = ["check_hub", "prepare_repo", "push_files", "push_folder"]

logger = logging.getLogger(__name__)

# Left by an earlier push of another kind: full weights beside an adapter, an adapter over a full
# model, another number of shards. from_pretrained would load them together with the new files.
_REPLACED = re.compile(
    r"(pytorch_model|model|adapter_model)(-\d+-of-\d+)?\.(bin|safetensors)(\.index\.json)?"
    r"|adapter_config\.json"
)


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str | None = None,
    revision: str | None = None,
    replace_labels: bool = False,
) -> CommitInfo:
    """Upload the folder of a saved model, all of it or nothing.

    Checkpoints, training state, predictions with the user's texts and pickled arguments are not
    uploaded. Weights on the hub that are not of this model are removed in the same commit.

    Args:
        folder: A full model, an adapter, or an exported model. It is only read.
        repo_id: ``name`` or ``namespace/name``; created if it does not exist.
        private: Whether a new repository is private; None: the account's default.
        token: Access token; None: ``HF_TOKEN``, or that of ``hf auth login``.
        commit_message: First line of the commit message.
        revision: Branch to commit to; created if it does not exist. None: ``main``.
        replace_labels: Whether a model with other label names may be replaced.

    Returns:
        The commit, a string that is its address.

    Raises:
        ConfigError: An illegal repository id, a token in a file, or a card that the hub rejects.
        ModelLoadError: The folder holds no model that may be pushed.
        LabelSpaceError: The repository holds a model with other labels.
        OutputError: The hub cannot be reached, or refuses; the folder is unchanged.
    """
    token = token or get_token()
    check_repo_id(repo_id)
    model = read_model_folder(folder, repo_id=repo_id, token=token)  # before any traffic
    repo_id = prepare_repo(
        repo_id,
        private=private,
        token=token,
        revision=revision,
        label_space=None if replace_labels else model.label_space,
        folder=model.path,
    )
    if model.is_adapter:  # only now is the namespace known
        model = read_model_folder(folder, repo_id=repo_id, token=token)
    before = model.stamps()
    commit = push_files(
        model.files,
        repo_id,
        token=token,
        commit_message=commit_message or "Upload model",
        revision=revision,
        label_space=None if replace_labels else model.label_space,
        folder=model.path,
    )
    if model.stamps() != before:
        raise OutputError(f"{model.path} was changed while it was pushed: push it again")
    logger.info("pushed %d files of %s: %s", len(model.files), model.path, commit.commit_url)
    return commit


def check_repo_id(repo_id: str) -> None:
    """Check the form of a repository's name.

    Raises:
        ConfigError: The hub would reject it.
    """
    try:
        if not repo_id:
            raise HFValidationError("it is empty.")
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = " ".join(str(error).split()).removesuffix(".")
        raise ConfigError(
            f"{repo_id!r} is not a repository id; expected namespace/name of letters, digits, "
            f"'-', '_' and '.' ({reason})"
        ) from error


def check_hub(repo_id: str, *, folder: str | Path | None = None) -> None:
    """Check what can be checked without network traffic.

    Raises:
        ConfigError: The repository id is illegal.
        OutputError: ``HF_HUB_OFFLINE`` forbids all traffic.
    """
    check_repo_id(repo_id)
    if constants.is_offline_mode():
        later = (
            how_to_push_later(folder, repo_id)
            if folder
            else "; unset it, or run without --push_to_hub"
        )
        raise OutputError(f"HF_HUB_OFFLINE=1: nothing is pushed to {repo_id}{later}")


def prepare_repo(
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | None = None,
    revision: str | None = None,
    label_space: LabelSpace | None = None,
    folder: str | Path | None = None,
) -> str:
    """Create the repository if it does not exist, and check that it may be pushed to.

    Returns:
        The id with its namespace.

    Raises:
        LabelSpaceError: It holds a model with other labels than those of ``label_space``.
        OutputError: It cannot be reached or created, or is public although ``private`` is set.
    """
    token = token or get_token()
    check_hub(repo_id, folder=folder)
    api = HfApi(token=token)

    def prepare() -> str:
        full_id = repo_id if "/" in repo_id else f"{api.whoami()['name']}/{repo_id}"
        info = _repo_info(api, full_id, None)
        if info is not None and private and not info.private:
            raise OutputError(
                f"{full_id} exists and is public, but a private repository was requested; give "
                "another name, or make it private on the hub first"
            )
        if info is None:
            full_id = api.create_repo(full_id, private=private, exist_ok=True).repo_id
        if revision and _repo_info(api, full_id, revision) is None:
            api.create_branch(full_id, branch=revision, exist_ok=True)
        _check_remote_labels(api, full_id, _repo_info(api, full_id, revision), label_space)
        return full_id

    return with_retries(prepare, repo_id=repo_id, token=token, folder=folder)


def push_files(
    files: Mapping[str, Path | bytes],
    repo_id: str,
    *,
    token: str | None,
    commit_message: str,
    revision: str | None = None,
    label_space: LabelSpace | None = None,
    path_in_repo: str = "",
    folder: str | Path | None = None,
) -> CommitInfo:
    """Push files to an existing repository, in one commit on top of the revision just checked.

    ``HfApi.upload_folder`` would make several commits if hf_xet is installed, and a download in
    between would get half a model.
    """
    api = HfApi(token=token)
    prefix = f"{path_in_repo}/" if path_in_repo else ""

    def push() -> CommitInfo:
        info = _repo_info(api, repo_id, revision)
        if not prefix:  # somebody else may have pushed in the meantime
            _check_remote_labels(api, repo_id, info, label_space)
        adds = [
            CommitOperationAdd(prefix + name, str(file) if isinstance(file, Path) else file)
            for name, file in files.items()
        ]
        there = [] if prefix or info is None else [s.rfilename for s in info.siblings or []]
        stale = [name for name in there if _REPLACED.fullmatch(name) and name not in files]
        return api.create_commit(
            repo_id,
            [*adds, *(CommitOperationDelete(name) for name in stale)],
            commit_message=commit_message,
            revision=revision,
            parent_commit=None if info is None else info.sha,
        )

    return with_retries(push, repo_id=repo_id, token=token, folder=folder)


def _repo_info(api: HfApi, repo_id: str, revision: str | None) -> Any:
    """A repository or revision on the hub; None only if the hub says that it does not exist."""
    try:
        return api.repo_info(repo_id, revision=revision)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        if error.response.status_code == 404:
            return None
        raise


def _check_remote_labels(api: HfApi, repo_id: str, info: Any, own: LabelSpace | None) -> None:
    names = [] if info is None else [sibling.rfilename for sibling in info.siblings or []]
    if own is None or "config.json" not in names:
        return
    try:
        path = hf_hub_download(
            repo_id, "config.json", revision=info.sha, token=api.token, endpoint=api.endpoint
        )
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except (EntryNotFoundError, ValueError) as error:
        if isinstance(error.__cause__, HTTPError):  # not missing, but not reached
            raise error.__cause__ from None
        return
    if isinstance(config, dict):
        check_labels(own, label_space_of(config), repo_id=repo_id)
