"""Retry what may fail on a hub for a moment, and turn the other failures into clear errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import tenacity
from huggingface_hub import constants
from huggingface_hub.errors import HTTPError

from xlingual.errors import ConfigError, OutputError, XlingualError
from xlingual.hub.contents import scrub

__all__ = ["how_to_push_later", "retrying", "with_retries"]

logger = logging.getLogger(__name__)

_TRIES = 4
# Another commit came in between (409), or moved the branch that ours builds on (412).
_CONFLICTS = (409, 412)
_RETRIED = (408, 429, 500, 502, 503, 504, *_CONFLICTS)

Answer = TypeVar("Answer")


def retrying(
    is_transient: Callable[[BaseException], bool],
    *,
    reason: Callable[[BaseException], str],
    hub: str,
) -> tenacity.Retrying:
    """Up to four tries of an action, 1, 2 and 4 seconds apart; the last error is raised unchanged.

    The clients themselves retry an upload, but look up, create and commit only once.

    Args:
        is_transient: Whether an error may be gone at the next try; others are raised at once.
        reason: The error in a few words, without a token, for the log.
        hub: The hub's name in the log.
    """

    def say(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if error is not None:
            logger.warning(
                "%s failed (%s); trying again in %g s", hub, reason(error), state.upcoming_sleep
            )

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_exponential(),
        before_sleep=say,
        reraise=True,
    )


def with_retries(
    action: Callable[[], Answer], *, repo_id: str, token: str | None, folder: str | Path | None
) -> Answer:
    """Run an action, retrying transient errors; turn the others into one clear error."""

    def reason(error: BaseException) -> str:
        cause = _http_cause(error)
        status = _status(cause)
        return f"status {status}" if status else scrub(cause, token) or type(cause).__name__

    try:
        return retrying(_is_transient, reason=reason, hub="the hub")(action)
    except XlingualError:
        raise
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        # No chain: what the client raised may hold the token.
        raise _failure(error, repo_id=repo_id, token=token, folder=folder) from None


def _is_transient(error: BaseException) -> bool:
    """Whether the status may change, or the request had no answer."""
    cause = _http_cause(error)
    status = _status(cause)
    return status in _RETRIED or (status is None and isinstance(cause, HTTPError))


def _http_cause(error: BaseException) -> BaseException:
    """The failed request inside the client's own exception."""
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
        return ConfigError(f"{hub} rejects the model card: {reason}{later}")
    if status == 401 and not token:
        said = f"{hub} needs a token: set HF_TOKEN, or log in with `hf auth login`"
    elif status == 401:
        said = f"{hub} rejects the token (401); create a new one with write permission"
    elif status == 403:
        said = (
            f"the token may not write to {repo_id} on {hub} (403); ask the owner for permission, "
            "or use another token"
        )
    elif status in _CONFLICTS:
        said = f"others keep committing to {repo_id} ({status}); try again later"
    elif status is not None:
        said = f"{hub} failed with status {status} ({reason[:300]})"
    elif isinstance(cause, HTTPError):
        said = f"{hub} cannot be reached ({reason[:300]}); HF_ENDPOINT can name a mirror"
    else:
        said = f"pushing to {repo_id} failed ({reason[:300]})"
    return OutputError(said + later)


def how_to_push_later(folder: str | Path | None, repo_id: str) -> str:
    """The end of an error message: nothing is lost, and how to push the folder later."""
    if folder is None:
        return ""
    return f"; {folder} is kept as it is: push it later with: xlingual push {folder} {repo_id}"
