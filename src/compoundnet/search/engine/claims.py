"""Claims on candidates that die with their holder: a trial whose claim can be had has no living worker.

The kernel holds the claim of a file, the PostgreSQL server that of a session; both let go of it when the
process ends, however it ends. So there is no heartbeat, and no time to choose after which a silent worker
counts as dead.
"""

import fcntl
import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from compoundnet.search.trials import StorageError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["Claims", "FileClaims", "PostgresClaims"]

_OPENING = "opening"  # no key of a candidate looks like this
_T = TypeVar("_T")


class Claims(Protocol):
    """Who evaluates what. StorageError from any of it: the folder or the server cannot be used."""

    def try_claim(self, key: str) -> AbstractContextManager[object] | None:
        """The claim on ``key``, to be released by leaving it; None while anybody holds it, this process included."""

    def alone(self) -> AbstractContextManager[None]:
        """Inside, nobody else is inside: waits for its turn."""

    def close(self) -> None:
        """Release everything."""


class FileClaims:
    """Claims of processes on one machine: an empty file each in ``folder``, locked while it is held.

    The files stay: removing one would let two processes lock two files of the same name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}
        _in_children(self, FileClaims._forget)

    def try_claim(self, key: str) -> AbstractContextManager[object] | None:
        """See :class:`Claims`."""
        handle = self._open(key)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise self._unusable(error) from error
        self._held[key] = handle
        released = ExitStack()
        released.callback(self._release, key)
        return released

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See :class:`Claims`."""
        handle = self._open(_OPENING)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def close(self) -> None:
        """See :class:`Claims`."""
        for key in tuple(self._held):
            self._release(key)

    def _open(self, name: str) -> int:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> StorageError:
        return StorageError(f"cannot make claims in {str(self._folder)!r}: {error.strerror or error}")

    def _release(self, key: str) -> None:
        handle = self._held.pop(key, None)
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)  # also where a child that this process does not know has the handle
            os.close(handle)

    def _forget(self) -> None:
        for handle in self._held.values():
            os.close(handle)
        self._held.clear()


class PostgresClaims:
    """Claims of processes on many machines: advisory locks of one session of the server (``url``) for each object.

    The server sees at once when a process ends, and within a minute and a half when its machine is cut off.
    """

    def __init__(self, url: "URL", study: str) -> None:
        from compoundnet.search.engine.database import connect

        self._url, self._study = url, study
        self._held: set[str] = set()
        self._connection = connect(url)
        _in_children(self, PostgresClaims._forget)

    def try_claim(self, key: str) -> AbstractContextManager[object] | None:
        """See :class:`Claims`."""
        # The server would give a session what it has already.
        if key in self._held or not self._ask("SELECT pg_try_advisory_lock(%s)", self._study, key):
            return None
        self._held.add(key)
        released = ExitStack()
        released.callback(self._release, key)
        return released

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See :class:`Claims`. Of all studies of the data base: the first to come makes the tables."""
        self._ask("SELECT pg_advisory_lock(%s)", "", _OPENING)
        try:
            yield
        finally:
            self._let_go("", _OPENING)

    def close(self) -> None:
        """See :class:`Claims`."""
        self._held.clear()
        self._connection.close()

    def _ask(self, query: str, study: str, key: str) -> bool:
        from compoundnet.search.engine.database import connect, reachable

        if self._connection.closed:  # the server was away; what was claimed before is anybody's now
            self._held.clear()
            self._connection = connect(self._url)
        with reachable(self._url, StorageError):
            row = self._connection.execute(query.encode(), (_number(study, key),)).fetchone()
        return bool(row and row[0])

    def _let_go(self, study: str, key: str) -> None:
        import psycopg

        try:
            self._connection.execute("SELECT pg_advisory_unlock(%s)", (_number(study, key),))
        except psycopg.Error:
            self._connection.close()  # and with it goes the claim

    def _release(self, key: str) -> None:
        if key in self._held:
            self._held.remove(key)
            self._let_go(self._study, key)

    def _forget(self) -> None:
        if not self._connection.closed:
            os.close(self._connection.fileno())  # not close(), which would end the parent's session
        self._held.clear()


def _number(study: str, key: str) -> int:
    """64 bits with a sign, as PostgreSQL names advisory locks."""
    digest = hashlib.sha256("\0".join(("compoundnet", study, key)).encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _in_children(claims: _T, forget: Callable[[_T], None]) -> None:
    """Keep forked children (that read images, say) from holding what their parent holds, beyond its end."""
    seen = weakref.ref(claims)

    def forgotten() -> None:
        alive = seen()
        if alive is not None:
            forget(alive)

    os.register_at_fork(after_in_child=forgotten)
