"""The verb profile: what networks cost on this device."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from compoundnet.checks import check_number, check_writable
from compoundnet.cli.arguments import Json, Output, call, print_json
from compoundnet.deploy import profile_device
from compoundnet.errors import RequestError
from compoundnet.files import write_atomically
from compoundnet.scaling.latency import Device, DeviceProfile, Engine, Setting, default_profile_path
from compoundnet.units import SPACE, percent

__all__ = ["profile_command"]

_ROUGH = 0.15  # an error that only a busy machine gives


def profile_command(argv: Sequence[str]) -> None:
    """``compoundnet profile``."""
    call("profile", _profile, argv)


def _profile(
    output: Annotated[Path | None, Output] = None,
    engine: Engine = "eager",
    device: Device = "cpu",
    threads: int = 1,
    batch_size: int = 1,
    minutes: float = 5.0,
    json: Json = False,
) -> None:
    """Measure networks on this device, so that latency can be predicted and limited (compoundnet design).

    Args:
        output: write the profile there, as JSON; by default into the cache, where design finds it.
        engine: what will run the networks: PyTorch (eager, or compiled with torch.compile), ONNX Runtime, OpenVINO.
        device: cpu, or cuda for eager and compiled.
        threads: of the CPU.
        batch_size: images at a time.
        minutes: how long to measure; the first two matter most. At least 60 networks are measured.
        json: the profile on standard output, and where it was written.
    """
    check_number("minutes", minutes, lambda x: 0 < x < math.inf, "be a positive number, such as 5")
    setting = Setting(engine=engine, device=device, threads=threads, batch_size=batch_size)
    path = default_profile_path(setting) if output is None else output
    if path.suffix != ".json":
        raise RequestError(f"output is {str(path)!r}; a profile ends in .json")
    check_writable(path)
    profile = profile_device(setting, minutes, lambda text: print(text, file=sys.stderr))
    try:
        write_atomically(path, profile.to_json() + "\n")
    except OSError as error:
        raise RequestError(f"cannot write {str(path)!r}: {error.strerror}") from error
    if json:
        print_json({**profile.to_record(), "path": str(path)})
    else:
        print(_page(profile, path))


def _page(profile: DeviceProfile, path: Path) -> str:
    told = (
        f"{profile.machine}: {profile.setting}\n{profile.networks} networks measured; those kept out of the fit were "
        f"predicted {percent(profile.error)} off on average\nwritten to {path}"
    )
    if profile.error > _ROUGH:
        told += "\nThat is too rough for a limit: measure again with nothing else running, or for longer (--minutes)."
    return told.replace(SPACE, " ")
