"""The journal file of a study: Optuna's format, kept whole when a writer is killed or the disk is full.

Optuna's own backend for files (5.0) stands neither. Killed while it appends, it leaves half a line; the
next record is written behind it, and the file cannot be read from then on. Killed while it holds the lock,
it keeps everyone else out for 30 s. Here the lock is the kernel's, and goes with the process that holds it;
half a line is cut off before the next one is written.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from compoundnet.errors import RequestError
from compoundnet.search.trials import StorageError

__all__ = ["Journal"]

_BLOCK_BYTES = 1 << 16


class Journal(BaseJournalBackend):
    """One JSON object a line. Any number of processes of one machine may read and append.

    Raises:
        RequestError: the file is damaged; the message names the line.
        StorageError: it cannot be read or written; a record that did not fit is not there at all.
    """

    def __init__(self, file: Path) -> None:
        """Make ``file``, empty, if it is not there."""
        self._file = file
        self._read = (0, 0)  # lines read so far, and the byte behind the last of them
        with self._locked(os.O_RDWR | os.O_CREAT, fcntl.LOCK_SH):
            pass

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """The records from number ``log_number_from`` on. A last line without its end is not one yet."""
        # Optuna asks for what follows the last answer; after an error of its own it asks for some of it again.
        lines, start = self._read if log_number_from >= self._read[0] else (0, 0)
        with self._locked(os.O_RDONLY, fcntl.LOCK_SH) as handle:
            if os.fstat(handle).st_size < start:
                raise RequestError(f"the journal {self._file} became shorter while it was read; bring back a copy")
            content = _content(handle, start)
        whole = content[: content.rfind(b"\n") + 1]
        records = [self._record(line, lines + i) for i, line in enumerate(whole.split(b"\n")[:-1], 1)]
        self._read = (lines + len(records), start + len(whole))
        return records[log_number_from - lines :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write the records to the disk: all of them, or none and StorageError."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self._locked(os.O_RDWR | os.O_APPEND, fcntl.LOCK_EX) as handle:
            end = _end_of_whole_lines(handle)
            if end < os.fstat(handle).st_size:
                os.ftruncate(handle, end)
            try:
                _write(handle, text)
                os.fsync(handle)
            except BaseException:
                os.ftruncate(handle, end)  # nobody has read it: readers wait for the lock
                raise

    @contextmanager
    def _locked(self, flags: int, lock: int) -> Iterator[int]:
        """The open file, locked. Locked itself, not by a file beside it: Optuna's lock would remove such a file."""
        try:
            handle = os.open(self._file, flags, 0o666)
            try:
                fcntl.flock(handle, lock)
                yield handle
            finally:
                fcntl.flock(handle, fcntl.LOCK_UN)  # not by closing alone: a child forked meanwhile has the handle too
                os.close(handle)
        except OSError as error:
            told = f"cannot use the journal {self._file}: {error.strerror or error}"
            raise StorageError(f"{told}; mend it (make room, give access) and repeat: the study goes on") from error

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or "op_code" not in record:
            raise RequestError(
                f"the journal {self._file} is damaged at line {number}; bring back a copy, or take another folder"
            )
        return record


def _content(handle: int, start: int) -> bytes:
    blocks = []
    while block := os.pread(handle, _BLOCK_BYTES, start):
        blocks.append(block)
        start += len(block)
    return b"".join(blocks)


def _end_of_whole_lines(handle: int) -> int:
    """The byte behind the last line that has its end."""
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write(handle: int, text: bytes) -> None:
    while text:
        text = text[os.write(handle, text) :]
