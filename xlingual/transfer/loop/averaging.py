"""Weight averaging: the mean of the snapshots of one run, or of several runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xlingual.errors import DataError

__all__ = ["WeightAverage", "average_weights", "snapshot_steps"]

_FILE = "weight_average.safetensors"
_COUNT = "num_snapshots"


def snapshot_steps(num_steps: int, *, num_snapshots: int = 10) -> set[int]:
    """The steps after which a snapshot is taken: equidistant ones of the run's last half.

    Schmidt et al. (2023, "Free Lunch: Robust Cross-Lingual Transfer via Model Checkpoint
    Averaging") average ten equidistant checkpoints; the early ones are left out here, because on
    short runs they are far from converged.

    Example:
        >>> sorted(snapshot_steps(100))
        [50, 60, 70, 80, 90, 100]
    """
    steps = {round(num_steps * k / num_snapshots) for k in range(1, num_snapshots + 1)}
    return {step for step in steps if step >= num_steps / 2 and step > 0}


class WeightAverage:
    r"""A running mean of a model's trained parameters.

    .. math:: \bar\theta_k = \bar\theta_{k-1} + (\theta_k - \bar\theta_{k-1}) / k

    in double precision, so that the order of a few dozen snapshots does not matter.
    """

    def __init__(self) -> None:
        self.num_snapshots = 0
        self.mean: dict[str, Tensor] = {}

    def update(self, model: nn.Module) -> None:
        """Add a snapshot of the trainable parameters."""
        self.num_snapshots += 1
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            value = parameter.detach().to("cpu", torch.float64)
            if self.num_snapshots == 1:
                self.mean[name] = value.clone()
            else:
                self.mean[name] += (value - self.mean[name]) / self.num_snapshots

    @torch.no_grad()
    def apply_to(self, model: nn.Module) -> None:
        """Copy the mean into the model; does nothing before the first snapshot."""
        for name, value in self.mean.items():
            parameter = model.get_parameter(name)
            parameter.copy_(value.to(parameter.device, parameter.dtype))

    def save(self, folder: str | Path) -> None:
        """Write the mean beside a checkpoint, for a resume."""
        if self.num_snapshots:
            count = torch.tensor(self.num_snapshots)
            save_file({**self.mean, _COUNT: count}, Path(folder) / _FILE)

    def load(self, folder: str | Path) -> None:
        """Restore the mean from a checkpoint, unless it is from before the first snapshot."""
        path = Path(folder) / _FILE
        if path.is_file():
            self.mean = load_file(path)
            self.num_snapshots = int(self.mean.pop(_COUNT))


def average_weights(states: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several models' states, for ``load_state_dict``.

    The models must have the same start: encoders fine-tuned from the same weights **and the same
    head initialisation** (Schmidt et al. 2023; Wortsman et al. 2022, "Model soups"). Heads with
    different starts lie in different basins, and their mean is worse than either.

    Args:
        states: ``state_dict()`` of each model, all with the same names and shapes.

    Raises:
        DataError: There is no state, or the states differ in names or shapes.

    Example:
        >>> average_weights([{"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}])
        {'w': tensor([2.])}
    """
    parts = list(states)
    if not parts:
        raise DataError("averaging needs at least one model; got none")
    shapes = [{name: tuple(tensor.shape) for name, tensor in part.items()} for part in parts]
    for other in shapes[1:]:
        differing = {n for n in shapes[0].keys() | other.keys() if shapes[0].get(n) != other.get(n)}
        if differing:
            raise DataError(
                "models of different shapes cannot be averaged; expected runs of one encoder and "
                f"one label space, and these differ in {', '.join(sorted(differing)[:3])}"
            )
    return {
        name: torch.stack([part[name].double() for part in parts]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first.clone()
        for name, first in parts[0].items()
    }
