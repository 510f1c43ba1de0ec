"""How this process uses memory, set before torch is loaded."""

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let memory that was freed be used again instead of given back to the system and fetched anew.

    Activations of a hundred megabytes come and go at every layer; by default each is mapped, filled
    with zeros page by page, and unmapped (docs/decisions/022-freed-memory-stays.md). What the user has
    set in the environment stays; C libraries without mallopt are left alone.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
