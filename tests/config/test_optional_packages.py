"""A flag whose package is missing is refused in one line with the pip command."""

from __future__ import annotations

import pytest
import torch
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.training_args import OptimizerNames

from xlingual import TransferArguments
from xlingual.config import optional_packages
from xlingual.config.optional_packages import OPTIMIZER_PACKAGES, REPORTER_PACKAGES
from xlingual.errors import ConfigError, MissingDependencyError

BUILT_IN = {"adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"}


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda module: None)
    monkeypatch.delenv("KUBEFLOW_TRAINER_SERVER_URL", raising=False)


def refused(**settings: object) -> str:
    with pytest.raises((ConfigError, MissingDependencyError)) as caught:
        TransferArguments(**{"output_dir": "runs/x", **settings})
    return str(caught.value)


def test_every_tool_and_optimizer_of_transformers_is_known() -> None:
    assert REPORTER_PACKAGES.keys() == INTEGRATION_TO_CALLBACK.keys()
    names = {name.value for name in OptimizerNames} - BUILT_IN
    assert [name for name in names if not any(part in name for part in OPTIMIZER_PACKAGES)] == []
    assert [n for n in BUILT_IN if any(part in n for part in OPTIMIZER_PACKAGES)] == []


@pytest.mark.parametrize("name", sorted(REPORTER_PACKAGES.keys() - {"kubeflow"}))
def test_reporters(name: str) -> None:
    message = refused(report_to=name)
    assert message.startswith(f"--report_to {name} needs the package ")
    assert f'pip install "{REPORTER_PACKAGES[name][0].pip}"' in message


@pytest.mark.parametrize("name", sorted({name.value for name in OptimizerNames} - BUILT_IN))
def test_optimizers(name: str) -> None:
    targets = "all-linear" if "galore" in name or "apollo" in name else None
    message = refused(optim=name, optim_target_modules=targets)
    assert message.startswith(f"--optim {name} needs the package ")
    assert "pip install" in message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"deepspeed": "ds.json"}, 'pip install "deepspeed"'),
        ({"deepspeed": {"train_batch_size": "auto"}}, 'pip install "deepspeed"'),
        ({"use_liger_kernel": True}, 'pip install "liger-kernel"'),
        ({"torch_compile_backend": "tvm"}, 'pip install "apache-tvm"'),
        ({"torch_compile_backend": "nope"}, "--torch_compile_backend takes eager, "),
        ({"report_to": "wanbd"}, "--report_to takes none, all, azure_ml, "),
        ({"report_to": "none,wandb"}, 'pip install "wandb"'),
        ({"report_to": ["mlflow"]}, 'pip install "mlflow"'),
        ({"report_to": "kubeflow"}, "inside a Kubeflow TrainJob"),
    ],
)
def test_other_flags(settings: dict[str, object], words: str) -> None:
    assert words in refused(**settings)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a processor's compiler")
def test_compiling_on_a_processor_needs_a_compiler(monkeypatch) -> None:
    monkeypatch.setattr(optional_packages.shutil, "which", lambda name: None)
    assert "neither g++ nor clang++" in refused(torch_compile=True)
    TransferArguments(output_dir="runs/x", torch_compile_backend="eager")


def test_compiling_for_a_gpu_needs_triton() -> None:
    args = TransferArguments(output_dir="runs/x")
    args.torch_compile = True
    with pytest.raises(MissingDependencyError, match='pip install "triton"'):
        optional_packages.check_packages(args, on_gpu=True)


def test_what_is_installed_passes(monkeypatch) -> None:
    monkeypatch.setattr(optional_packages, "find_spec", lambda module: object())
    assert TransferArguments(output_dir="runs/x", report_to="wandb, mlflow").report_to == [
        "wandb",
        "mlflow",
    ]
