"""Why a sync fails, told so that the user can act."""

from __future__ import annotations


class SyncError(Exception):
    """The sync can't go on. The text names the field or object, the reason and the next step, never a value.

    `retry_after` is the least number of seconds to wait, where that is known. With `retry` false, trying again without a
    change can't help.
    """

    def __init__(self, message: str, /, *, retry_after: float | None = None, retry: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.retry = retry

    def __str__(self) -> str:
        return self.message

    def at(self, place: str) -> SyncError:
        """The same error, found at `place` in the manifest."""
        return SyncError(f"{place}: {self.message}", retry_after=self.retry_after, retry=self.retry)
