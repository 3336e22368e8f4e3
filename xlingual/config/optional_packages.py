"""Optional packages behind flags of transformers and accelerate, checked before data is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

from xlingual.config.flag_parser import as_typed
from xlingual.errors import ConfigError, MissingDependencyError

__all__ = ["OPTIMIZER_PACKAGES", "REPORTER_PACKAGES", "Package", "check_packages"]


class Package(NamedTuple):
    """A requirement: any one of several modules; ``pip`` installs the first of them."""

    modules: tuple[str, ...]
    pip: str


def _package(pip: str, *modules: str) -> Package:
    return Package(modules or (pip,), pip)


_MLFLOW = _package("mlflow")
REPORTER_PACKAGES: dict[str, tuple[Package, ...]] = {
    "azure_ml": (_package("azureml-sdk", "azureml"),),
    "clearml": (_package("clearml"),),
    "codecarbon": (_package("codecarbon"),),
    "comet_ml": (_package("comet-ml", "comet_ml"),),
    "dagshub": (_package("dagshub"), _MLFLOW),
    "dvclive": (_package("dvclive"),),
    "flyte": (_package("flytekit"),),
    "kubeflow": (),
    "mlflow": (_MLFLOW,),
    "neptune": (_package("neptune"),),
    "swanlab": (_package("swanlab"),),
    "tensorboard": (_package("tensorboard", "tensorboard", "tensorboardX"),),
    "trackio": (_package("trackio"),),
    "wandb": (_package("wandb"),),
}

# Keyed by the part of the optimizer's name that identifies its package.
_BITSANDBYTES = _package("bitsandbytes")
_TORCHAO = _package("torchao")
OPTIMIZER_PACKAGES: dict[str, Package] = {
    "galore": _package("galore-torch", "galore_torch"),
    "apollo": _package("apollo-torch", "apollo_torch"),
    "schedule_free": _package("schedulefree"),
    "stable_adamw": _package("torch-optimi", "optimi"),
    "grokadamw": _package("grokadamw"),
    "lomo": _package("lomo-optim", "lomo_optim"),
    "anyprecision": _package("git+https://github.com/pytorch/torchdistx", "torchdistx"),
    "torch_xla": _package("torch_xla"),
    "npu": _package("torch-npu", "torch_npu"),
    "adamw_torch_4bit": _TORCHAO,
    "adamw_torch_8bit": _TORCHAO,
    "bnb": _BITSANDBYTES,
    "paged": _BITSANDBYTES,
    "ademamix": _BITSANDBYTES,
    "lion": _BITSANDBYTES,
    "adamw_8bit": _BITSANDBYTES,
}
_COMPILER_PACKAGES = {
    "onnxrt": _package("onnxruntime"),
    "openxla": _package("torch_xla"),
    "tensorrt": _package("torch-tensorrt", "torch_tensorrt"),
    "ipex": _package("intel-extension-for-pytorch", "intel_extension_for_pytorch"),
    "tvm": _package("apache-tvm", "tvm"),
}


def check_packages(args: Any, *, on_gpu: bool) -> None:
    """Refuse flags whose package is not installed.

    Args:
        args: ``TrainingArguments``, before ``__post_init__`` has run.
        on_gpu: Whether the run is on a GPU: compiling needs triton on a GPU, and a C++ compiler on
            a CPU.

    Raises:
        ConfigError: An unknown tool or backend, or one that is not available here.
        MissingDependencyError: A package is not installed; the message has the pip command.
    """
    for flag, package in _wanted(args, on_gpu=on_gpu):
        if not any(_is_installed(module) for module in package.modules):
            raise MissingDependencyError(
                f"{flag} needs the package {package.modules[0]!r}, which is not installed; install "
                f'it with: pip install "{package.pip}"'
            )


def _wanted(args: Any, *, on_gpu: bool) -> Iterator[tuple[str, Package]]:
    yield from _wanted_by_reporters(args.report_to)
    optimizer = as_typed(args.optim)
    for part, package in OPTIMIZER_PACKAGES.items():
        if part in optimizer:
            yield f"--optim {optimizer}", package
            break
    if args.deepspeed:
        yield "--deepspeed", _package("deepspeed")
    if args.use_liger_kernel:
        yield "--use_liger_kernel", _package("liger-kernel", "liger_kernel")
    if args.torch_compile or args.torch_compile_backend or args.torch_compile_mode:
        yield from _wanted_by_compiler(args.torch_compile_backend or "inductor", on_gpu=on_gpu)


def _wanted_by_reporters(report_to: Any) -> Iterator[tuple[str, Package]]:
    names = [report_to] if isinstance(report_to, str) else report_to or []
    for name in names:
        if name in ("all", "none"):
            continue
        if name not in REPORTER_PACKAGES:
            known = ", ".join(["none", "all", *REPORTER_PACKAGES])
            raise ConfigError(f"--report_to takes {known}; got {name!r}")
        if name == "kubeflow" and "KUBEFLOW_TRAINER_SERVER_URL" not in os.environ:
            raise ConfigError("--report_to kubeflow works only inside a Kubeflow TrainJob")
        yield from ((f"--report_to {name}", package) for package in REPORTER_PACKAGES[name])


def _wanted_by_compiler(backend: str, *, on_gpu: bool) -> Iterator[tuple[str, Package]]:
    from accelerate.utils import DynamoBackend

    known = [kind.value.lower() for kind in DynamoBackend if kind.value != "NO"]
    if backend not in known:
        raise ConfigError(f"--torch_compile_backend takes {', '.join(known)}; got {backend!r}")
    if backend in _COMPILER_PACKAGES:
        yield f"--torch_compile_backend {backend}", _COMPILER_PACKAGES[backend]
    if backend == "inductor" and on_gpu:
        yield "--torch_compile", _package("triton")
    elif backend == "inductor":
        compilers = (os.environ.get("CXX"), "g++", "clang++", "cl")
        if not any(shutil.which(name) for name in compilers if name):
            raise ConfigError(
                "--torch_compile needs a C++ compiler, and neither g++ nor clang++ is installed; "
                "install one, or leave the flag out"
            )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # a module that was loaded without a spec is installed
        return True
