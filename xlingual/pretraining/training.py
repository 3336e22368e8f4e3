"""The pretraining loop: resumable to the bit, through Accelerate on CPU, one GPU or several."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from xlingual.errors import ConfigError
from xlingual.pretraining.context import ContextObjective, parameter_groups

__all__ = ["latest_checkpoint", "train_context"]

logger = logging.getLogger(__name__)

_LOG_EVERY = 20


def train_context(
    objective: ContextObjective,
    batch_maker: Callable[[int], dict[str, Tensor]],
    *,
    accelerator: Accelerator,
    output_dir: str | Path,
    steps: int = 8000,
    learning_rate: float = 8e-4,
    embedding_scale: float = 0.03,
    weight_decay: float = 0.01,
    warmup_share: float = 0.05,
    max_grad_norm: float = 1.0,
    save_every: int = 1000,
    on_save: Callable[[int], None] | None = None,
    stop_after: int | None = None,
) -> float:
    """Train for ``steps`` optimizer steps, from the last checkpoint in ``output_dir`` if any.

    Batches depend on the step number alone and there is no dropout, so a run that was killed and
    resumed ends in the same weights as one that was not.

    Args:
        objective: Model and loss; trained in place.
        batch_maker: Step number to keyword arguments of the objective.
        accelerator: Where and in which precision to run. With several processes each takes its
            own batches.
        output_dir: Folder of ``checkpoint-N``; the last two are kept.
        steps: Optimizer steps of the whole run, which also set the schedule: linear warm-up and
            linear decay to zero, one cycle.
        learning_rate: Peak learning rate of the layers.
        embedding_scale: Learning rate of the embeddings as a share of it.
        weight_decay: Decay of the matrices outside the embeddings.
        warmup_share: Share of the steps spent warming up.
        max_grad_norm: Gradient clipping.
        save_every: Steps between checkpoints.
        on_save: Called on the main process with the step after each checkpoint.
        stop_after: Stop at this step without a checkpoint; what a killed run looks like.

    Returns:
        Mean loss of the last 100 steps run, 0.0 when none was left to run.

    Raises:
        ConfigError: ``steps`` or ``save_every`` is not positive.
    """
    if steps < 1 or save_every < 1:
        raise ConfigError(f"steps and save_every must be >= 1, got {steps} and {save_every}")
    groups = parameter_groups(
        objective,
        learning_rate=learning_rate,
        embedding_scale=embedding_scale,
        weight_decay=weight_decay,
    )
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    schedule = LambdaLR(optimizer, _one_cycle(steps, max(1, int(warmup_share * steps))))
    module, optimizer = accelerator.prepare(objective, optimizer)
    accelerator.register_for_checkpointing(schedule)
    start = _resume(accelerator, Path(output_dir))
    module.train()
    bar = tqdm(
        range(start, steps),
        initial=start,
        total=steps,
        desc="stage 1",
        disable=not accelerator.is_main_process,
    )
    recent: deque[Tensor] = deque(maxlen=100)
    for step in bar:
        if step == stop_after:
            break
        recent.append(
            _step(module, optimizer, schedule, batch_maker, step, accelerator, max_grad_norm)
        )
        if step % _LOG_EVERY == 0:  # reading a loss waits for the GPU
            parts = {name: f"{float(loss):.3f}" for name, loss in objective.losses.items()}
            bar.set_postfix(loss=f"{_mean(recent):.3f}", **parts)
        if (step + 1) % save_every == 0 or step + 1 == steps:
            _save(accelerator, Path(output_dir), step + 1)
            if on_save is not None and accelerator.is_main_process:
                on_save(step + 1)
            accelerator.wait_for_everyone()
    return _mean(recent)


def latest_checkpoint(output_dir: str | Path) -> tuple[int, Path] | None:
    """Step and folder of the last finished checkpoint, or None."""
    found = {
        int(path.name.removeprefix("checkpoint-")): path
        for path in Path(output_dir).glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdigit()
    }
    return max(found.items()) if found else None


def _step(
    module: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: LambdaLR,
    batch_maker: Callable[[int], dict[str, Tensor]],
    step: int,
    accelerator: Accelerator,
    max_grad_norm: float,
) -> Tensor:
    # Processes interleave: with n of them, step k uses batches nk .. nk + n - 1.
    number = step * accelerator.num_processes + accelerator.process_index
    batch = {name: tensor.to(accelerator.device) for name, tensor in batch_maker(number).items()}
    with accelerator.autocast():
        loss = module(**batch)
    accelerator.backward(loss)
    accelerator.clip_grad_norm_(module.parameters(), max_grad_norm)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()
    return loss.detach()


def _mean(losses: Collection[Tensor]) -> float:
    return float(torch.stack(list(losses)).mean()) if losses else 0.0


def _one_cycle(steps: int, warmup: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return max(steps - step, 0) / max(steps - warmup, 1)

    return factor


def _resume(accelerator: Accelerator, output_dir: Path) -> int:
    checkpoint = latest_checkpoint(output_dir)
    if checkpoint is None:
        return 0
    step, folder = checkpoint
    accelerator.load_state(str(folder))
    logger.info("resumed from %s", folder)
    return step


def _save(accelerator: Accelerator, output_dir: Path, step: int) -> None:
    """Save beside and rename: a checkpoint folder that exists is complete."""
    beside = output_dir / "unfinished"
    if accelerator.is_main_process:
        shutil.rmtree(beside, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(beside), safe_serialization=False)
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    beside.rename(output_dir / f"checkpoint-{step}")
    steps = sorted(int(p.name.rsplit("-", 1)[1]) for p in output_dir.glob("checkpoint-*"))
    for old in steps[:-2]:
        shutil.rmtree(output_dir / f"checkpoint-{old}")
