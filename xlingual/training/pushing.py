"""``PushingTrainer``: the hub flags of transformers, with our checks and one commit per push."""

from __future__ import annotations

import copy
import logging
import shutil
import tempfile
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

from huggingface_hub import CommitInfo, HfApi
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils import PushInProgress

from xlingual.errors import XlingualError
from xlingual.hub.contents import read_model_folder
from xlingual.hub.huggingface import check_hub, prepare_repo, push_files, push_folder
from xlingual.models.adapters import complete_saved_model

__all__ = ["PushingTrainer", "push_run"]

logger = logging.getLogger(__name__)

_PICKLED_ARGUMENTS = "training_args.bin"
# The model in a checkpoint; its other files are pushed with ``hub_strategy="checkpoint"`` only.
_MODEL_FILES = (
    "config.json", "model*.safetensors", "model.safetensors.index.json", "adapter_*", "vocab*",
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "merges.txt", "*.model",
    "chat_template*",
)  # fmt: skip


class PushingTrainer(Trainer):
    """A ``Trainer`` that pushes with ``push_folder``, under the flags of transformers.

    ``push_to_hub``, ``hub_model_id``, ``hub_private_repo``, ``hub_strategy``, ``hub_revision``,
    ``hub_always_push`` and ``hub_token`` mean the same as there. The differences:

    - Problems that would make the last push fail stop the run before its first step: no network, no
      token, no permission, a different label space (allowed by ``args.hub_replace_labels``).
    - A push that fails during the run (of a checkpoint, or in ``save_model``) is logged, and the
      run continues. ``push_to_hub()`` raises.
    - The token is not kept in the arguments: ``Trainer`` pickles those into every saved folder.
    - The model card is the ``README.md`` in the folder; it is not overwritten by a draft.
    - A pushed checkpoint is a complete model. Nothing pickled is pushed, except the state of the
      run with ``hub_strategy="checkpoint"``.
    """

    hub_model_id: Any  # a str from init_hf_repo on
    push_in_progress: Any  # a PushInProgress from the first push of a checkpoint on

    def __init__(
        self,
        model: Any = None,
        args: TrainingArguments | None = None,
        *positional: Any,
        **kwargs: Any,
    ) -> None:
        self._hub_token: str | None = None
        self.push_in_progress = None
        if args is not None and args.hub_token:
            self._hub_token = args.hub_token
            args = copy.copy(args)
            args.hub_token = None
        super().__init__(model, args, *positional, **kwargs)

    @property
    def _pushed_label_space(self) -> Any:
        replaces = getattr(self.args, "hub_replace_labels", False)
        return None if replaces else getattr(self, "label_space", None)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Create the repository, or raise before any work if it cannot be pushed to."""
        if not self.is_world_process_zero():
            return
        self.hub_model_id = prepare_repo(
            self.args.hub_model_id or Path(self.args.output_dir or ".").absolute().name,
            private=private if private is not None else self.args.hub_private_repo,
            token=token or self._hub_token,
            revision=self.args.hub_revision,
            label_space=self._pushed_label_space,
        )

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save, and with ``push_to_hub`` also push; a push that fails is only logged."""
        super().save_model(output_dir, _internal_call=True)
        if self.args.push_to_hub and not _internal_call:
            try:
                self._push_output_dir(commit_message="Model save")
            except XlingualError as error:
                logger.warning("%s", error)

    def push_to_hub(  # type: ignore[override]  # the parent's hint forgets the future
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> CommitInfo | Future[CommitInfo] | None:
        """Save the model to ``output_dir`` and push that folder, with its card and results.

        Args:
            commit_message: First line of the commit.
            blocking: Whether to wait until it is done.
            token: Overrides ``hub_token``.
            revision: Overrides ``hub_revision``.
            private: Overrides ``hub_private_repo``; only for a new repository.
            **kwargs: Passed to ``create_model_card``.

        Returns:
            The commit (a string, its address), a future of it, or None on other processes.

        Raises:
            XlingualError: As ``push_folder``; the folder is whole and can be pushed later.
        """
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        self.save_model(_internal_call=True)  # by all processes
        return self._push_output_dir(
            commit_message=commit_message or "End of training",
            blocking=blocking,
            token=token,
            revision=revision,
            private=private,
            **kwargs,
        )

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the ``README.md`` in ``output_dir`` is the model card."""

    def _push_output_dir(
        self,
        *,
        commit_message: str,
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if not self.is_world_process_zero():
            return None
        name = self.hub_model_id or self.args.hub_model_id
        self.create_model_card(**kwargs)
        self._finish_current_push()
        run = push_folder if blocking else _in_background(push_folder)
        return run(
            self.args.output_dir or ".",
            name or Path(self.args.output_dir or ".").absolute().name,
            private=private if private is not None else self.args.hub_private_repo,
            token=token or self._hub_token,
            commit_message=commit_message,
            revision=revision or self.args.hub_revision,
            replace_labels=bool(getattr(self.args, "hub_replace_labels", False)),
        )

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push a checkpoint in the background, as ``hub_strategy`` says."""
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END:
            return
        last = self.push_in_progress
        if last is not None and not last.is_done() and not self.args.hub_always_push:
            return
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        by_step = self.args.save_strategy == "steps"
        at = self.state.global_step if by_step else int(self.state.epoch or 0)
        message = f"Training in progress, {'step' if by_step else 'epoch'} {at}"
        staged = self._stage(Path(checkpoint_folder))
        job = _in_background(self._push_staged)(staged, Path(checkpoint_folder).name, message)
        if last is None or last.is_done():
            self.push_in_progress = PushInProgress(cast(Any, [job]))
        else:
            last.jobs.append(job)

    def _stage(self, checkpoint: Path) -> Path:
        """Copy a checkpoint for the push: the run may delete the original in the meantime."""
        staged = Path(tempfile.mkdtemp(prefix="_push-", dir=self.args.output_dir))
        model = staged / "model"
        model.mkdir()
        for pattern in _MODEL_FILES:
            for file in checkpoint.glob(pattern):
                shutil.copy2(file, model)
        complete_saved_model(
            self.accelerator.unwrap_model(self.model),
            model,
            save_base=getattr(self.args, "save_base_model", True),
        )
        if self.args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            ignored = shutil.ignore_patterns(_PICKLED_ARGUMENTS)
            shutil.copytree(checkpoint, staged / "checkpoint", ignore=ignored)
        return staged

    def _push_staged(self, staged: Path, checkpoint_name: str, message: str) -> None:
        repo_id = str(self.hub_model_id)
        common: dict[str, Any] = {"token": self._hub_token, "revision": self.args.hub_revision}
        try:
            check_hub(repo_id)
            model = read_model_folder(staged / "model", repo_id=repo_id, token=self._hub_token)
            push_files(
                {name: file for name, file in model.files.items() if name != "README.md"},
                repo_id,
                commit_message=message,
                label_space=self._pushed_label_space,
                **common,
            )
            if (staged / "checkpoint").is_dir():
                only_last = self.args.hub_strategy == HubStrategy.CHECKPOINT
                root = staged / "checkpoint"
                push_files(
                    {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()},
                    repo_id,
                    commit_message=f"{message}, checkpoint",
                    path_in_repo="last-checkpoint" if only_last else checkpoint_name,
                    **common,
                )
        except XlingualError as error:
            logger.warning("the checkpoint is not pushed, and the run continues: %s", error)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _in_background(function: Any) -> Any:
    """A function that runs the given one in the background, after all earlier ones."""

    def start(*args: Any, **kwargs: Any) -> Future[Any]:
        return _BACKGROUND.run_as_future(function, *args, **kwargs)

    return start


_BACKGROUND = HfApi()  # it has one thread, so pushes keep their order


def push_run(args: TrainingArguments) -> CommitInfo | None:
    """Push the folder of a run of several stages, from the main process.

    The trainers of the stages have their own folders; the folder of the run, which is pushed, has
    the model that was kept, its card and its results.

    Args:
        args: The run's arguments: ``output_dir`` and ``hub_*``.

    Returns:
        The commit; None on other processes.

    Raises:
        XlingualError: As ``push_folder``; the folder is whole and can be pushed later.
    """
    if args.process_index != 0:
        return None
    folder = Path(args.output_dir or ".").absolute()
    return push_folder(
        folder,
        args.hub_model_id or folder.name,
        private=args.hub_private_repo,
        token=args.hub_token,
        revision=args.hub_revision,
        replace_labels=getattr(args, "hub_replace_labels", False),
    )
