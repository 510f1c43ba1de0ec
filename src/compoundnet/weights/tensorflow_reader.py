"""A program that reads a TensorFlow checkpoint, run by its path: TensorFlow gets a process of its own.

In one process with torch it ends it: both bring an LLVM. And where a damaged file ends TensorFlow, only this ends.
It imports nothing of this package, which would bring torch.
"""

import importlib
import json
import os
import re
import sys

import numpy as np

__all__ = ["main"]


def main(prefix: str, pattern: str, output: str) -> None:
    """Write the variables of a checkpoint whose whole name has the pattern to ``output`` (npz), float32, in order.

    Their names go to stdout, as JSON: ``{"read": [...], "there": [...]}``, the latter being the first of all.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # with its Keras comes what this names; torch ends it
    reader = importlib.import_module("tensorflow").train.load_checkpoint(prefix)
    there = sorted(reader.get_variable_to_shape_map())
    read = [name for name in there if re.fullmatch(pattern, name)]
    np.savez(output, *(np.asarray(reader.get_tensor(name), dtype=np.float32) for name in read))
    print(json.dumps({"read": read, "there": there[:10]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
