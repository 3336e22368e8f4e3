"""``PushingTrainer``: transformers' hub flags, with this package's checks and one commit a push."""

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

# What a checkpoint adds to the model it holds: it is pushed with ``hub_strategy="checkpoint"``.
_PICKLED_ARGUMENTS = "training_args.bin"
_MODEL_FILES = (
    "config.json", "model*.safetensors", "model.safetensors.index.json", "adapter_*", "vocab*",
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "merges.txt", "*.model",
    "chat_template*",
)  # fmt: skip


class PushingTrainer(Trainer):
    """A ``Trainer`` that pushes by ``push_folder``: the flags are those of transformers.

    ``push_to_hub``, ``hub_model_id``, ``hub_private_repo``, ``hub_strategy``, ``hub_revision``,
    ``hub_always_push`` and ``hub_token`` mean what they mean there. What differs:

    - What would stop the last push stops the run before its first step: no network, no token, no
      permission, another label space (``args.hub_replace_labels`` allows it).
    - A push while the run goes on (a checkpoint, ``save_model``) that fails is logged; the run and
      its results go on. ``push_to_hub()`` raises.
    - The token is not among the arguments: ``Trainer`` pickles those into every saved folder.
    - The card is what lies in the folder as ``README.md``; none is drafted over it.
    - Pushes of checkpoints are complete models, and nothing pickled but the state of the run that
      ``hub_strategy="checkpoint"`` asks for.
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
        """Make the repository, or say before any work why it cannot be pushed to."""
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
        """Save, and push as well with ``push_to_hub``; the results are not lost if that fails."""
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
            token: Instead of ``hub_token``.
            revision: Instead of ``hub_revision``.
            private: Instead of ``hub_private_repo``; only for a new repository.
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
        """Keep the ``README.md`` that lies in ``output_dir``."""

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
        """A copy that stays while it is pushed: the run may delete the checkpoint meanwhile."""
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
            logger.warning("the checkpoint is not pushed, and the run goes on: %s", error)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _in_background(function: Any) -> Any:
    """The function, run after all that was put in the background before."""

    def start(*args: Any, **kwargs: Any) -> Future[Any]:
        return _BACKGROUND.run_as_future(function, *args, **kwargs)

    return start


_BACKGROUND = HfApi()  # it has one thread, so pushes come in the order they were asked for


def push_run(args: TrainingArguments) -> CommitInfo | None:
    """Push the folder of a run of several stages, from the main process.

    Its trainers belong to the stages and have folders of their own; what is pushed is the folder
    of the run, with the model that was kept, its card and its results.

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
