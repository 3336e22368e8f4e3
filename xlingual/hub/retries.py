"""What to do when a hub fails: try again where it may pass, and say clearly where it does not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import HTTPError

from xlingual.errors import ConfigError, OutputError, XlingualError
from xlingual.hub.contents import scrub

__all__ = ["how_to_push_later", "with_retries"]

logger = logging.getLogger(__name__)

# Seconds before the second, third and fourth try. The client itself waits and tries again within
# an upload; creating, asking and committing it tries once.
_WAITS = (1.0, 2.0, 4.0)
# Another commit came in between (409), or moved the branch that ours builds on (412).
_CONFLICTS = (409, 412)
_RETRIED = (408, 429, 500, 502, 503, 504, *_CONFLICTS)

Answer = TypeVar("Answer")


def with_retries(
    action: Callable[[], Answer], *, repo_id: str, token: str | None, folder: str | Path | None
) -> Answer:
    """Do it, again after what may pass; turn what does not pass into one clear error."""
    for wait in (*_WAITS, None):
        try:
            return action()
        except XlingualError:
            raise
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            cause = _http_cause(error)
            status = _status(cause)
            passes = status in _RETRIED or (status is None and isinstance(cause, HTTPError))
            if not passes or wait is None:
                # No chain: what the client raised may hold the token.
                raise _failure(error, repo_id=repo_id, token=token, folder=folder) from None
            reason = f"status {status}" if status else scrub(cause, token) or type(cause).__name__
            logger.warning("the hub failed (%s); trying again in %g s", reason, wait)
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _http_cause(error: BaseException) -> BaseException:
    """The failed request below what the client wrapped around it."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, HTTPError):
        inner = inner.__cause__
    return inner if inner is not None else error


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _failure(
    error: Exception, *, repo_id: str, token: str | None, folder: str | Path | None
) -> XlingualError:
    cause = _http_cause(error)
    status, reason = _status(cause), scrub(error, token) or type(error).__name__
    later = how_to_push_later(folder, repo_id)
    hub = f"the hub at {constants.ENDPOINT}"
    if "README.md" in reason and "metadata" in reason:
        return ConfigError(f"{hub} does not take the card: {reason}{later}")
    if status == 401 and not token:
        said = f"{hub} wants a token: set HF_TOKEN, or log in with `hf auth login`"
    elif status == 401:
        said = f"{hub} does not know the token (401); make a new one with write permission"
    elif status == 403:
        said = f"the token may not write to {repo_id} on {hub} (403); ask its owner, or use another"
    elif status in _CONFLICTS:
        said = f"others keep committing to {repo_id} ({status}); try later"
    elif status is not None:
        said = f"{hub} failed with status {status} ({reason[:300]})"
    elif isinstance(cause, HTTPError):
        said = f"{hub} is not reached ({reason[:300]}); HF_ENDPOINT names a mirror"
    else:
        said = f"pushing to {repo_id} failed ({reason[:300]})"
    return OutputError(said + later)


def how_to_push_later(folder: str | Path | None, repo_id: str) -> str:
    """The end of a message on a push that failed: nothing is lost."""
    if folder is None:
        return ""
    return f"; {folder} is kept as it is: push it later with: xlingual push {folder} {repo_id}"
