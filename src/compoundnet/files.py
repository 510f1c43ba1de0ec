"""Writing files that are there whole or not at all."""

import csv
import io
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compoundnet.errors import RequestError

__all__ = ["write_atomically", "write_csv"]


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens. OSError passes, with nothing left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_csv(table: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the rows, all with the first row's keys, as UTF-8 CSV; what is None is an empty cell.

    Raises:
        RequestError: no rows. OSError: the file cannot be written; what was there is still there.
    """
    if not table:
        raise RequestError(f"there are no rows to write to {str(path)!r}")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_atomically(path, text.getvalue())


def _umask() -> int:
    """What the user allows for new files; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
