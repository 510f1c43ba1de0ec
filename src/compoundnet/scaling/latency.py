"""Latency on a device: a profile fitted to networks that were measured, and what it predicts for any other.

A batch takes the sum over all layers of the work they do (:mod:`compoundnet.scaling.work`) times what
that work costs on the device. No price is negative and no amount falls when a size grows, so predictions
never fall when the side does not, which the budget solver relies on, nor with depth; nor with width, but where
a block of ResNet needs no projection because widths happen to agree.
:mod:`compoundnet.deploy` measures.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from compoundnet.architecture import Architecture, Number
from compoundnet.architecture.record import parse, read
from compoundnet.checks import check_choice, check_number, check_text, check_whole
from compoundnet.cost import Layer, layers_of
from compoundnet.cost.pricing import multipliers
from compoundnet.data.files import cache_root
from compoundnet.errors import RequestError, unknown
from compoundnet.scaling.work import WORK, work_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

__all__ = ["Device", "DeviceProfile", "Engine", "Fit", "Setting", "default_profile_path", "fit", "predict_ms"]
__all__ += ["opened_profile", "read_profile"]

Engine: TypeAlias = Literal["eager", "compiled", "onnxruntime", "openvino"]
Device: TypeAlias = Literal["cpu", "cuda"]

FORMAT = 1
_ON_CUDA = ("eager", "compiled")
_FOLDS = 10
_MOST_THREADS = 1024  # beyond, PyTorch may crash without a word
_MOST_IMAGES = 1024  # a batch; beyond, hardly a network is small enough to be measured
_CHUNK = 16384  # candidates priced at a time: the walk's arrays then stay in the processor's cache


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """How networks are run: the engine, where, on how many CPU threads, how many images at a time.

    Raises:
        RequestError: an unknown engine or device, an engine that is not run there, a number that is not in 1..1024.
    """

    engine: Engine = "eager"
    device: Device = "cpu"
    threads: int = 1
    batch_size: int = 1

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, get_args(Engine))
        check_choice("device", self.device, get_args(Device))
        check_whole("threads", self.threads, most=_MOST_THREADS)
        check_whole("batch_size", self.batch_size, most=_MOST_IMAGES)
        if self.device == "cuda" and self.engine not in _ON_CUDA:
            raise RequestError(f"engine {self.engine!r} is run on cpu only; on cuda take {' or '.join(_ON_CUDA)}")

    def __str__(self) -> str:
        threads, images = f"{self.threads} thread{'s'[: self.threads > 1]}", f"batch of {self.batch_size}"
        return f"{self.engine} on {self.device}, {threads}, {images}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceProfile:
    """What work costs on one device in one setting.

    Attributes:
        setting: how networks are run.
        machine: the device, in words.
        prices_ms: ms of one unit of each kind of work, by name; what is not named is free.
        error: mean relative error on networks kept out of the fit (cross-validation).
        networks: how many were measured.
        reference_ms: what the reference network took, which was measured beside all others.
        versions: of the libraries, by name.
        measured: when, ISO 8601.

    Raises:
        RequestError: a field that cannot be, or a kind of work that this version does not know.
    """

    setting: Setting
    machine: str
    prices_ms: Mapping[str, float]
    error: float
    networks: int
    reference_ms: float
    versions: Mapping[str, str]
    measured: str

    def __post_init__(self) -> None:
        check_text("machine", self.machine, "AMD EPYC, 2 cores")
        check_text("measured", self.measured, "2026-01-31T12:00:00+00:00")
        check_whole("networks", self.networks)
        check_number("error", self.error, lambda x: 0 <= x < math.inf, "be a share, such as 0.05")
        check_number("reference_ms", self.reference_ms, lambda x: 0 < x < math.inf, "be a positive number")
        for name in ("prices_ms", "versions"):
            if not isinstance(getattr(self, name), Mapping):
                raise RequestError(f"{name} must be a JSON object")
        for kind, price in self.prices_ms.items():
            if kind not in WORK:
                raise unknown("kind of work in prices_ms", kind, WORK)
            check_number(f"prices_ms.{kind}", price, lambda x: 0 <= x < math.inf, "be a number that is not negative")

    def to_record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    def to_json(self) -> str:
        """JSON text that :meth:`from_json` reads back to an equal value."""
        return json.dumps(self.to_record(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "DeviceProfile":
        """The value written by :meth:`to_json`; RequestError says where the text is wrong."""
        record = parse(text)
        if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
            raise RequestError(f"not a device profile of format {FORMAT}; compoundnet profile makes one")
        return read(cls, record, "profile", {"setting": lambda value, where: read(Setting, value, where)})


def default_profile_path(setting: Setting) -> Path:
    """Where ``compoundnet profile`` writes and ``design`` looks: ``devices/`` in the cache folder, a file a setting."""
    name = f"{setting.engine}-{setting.device}-threads{setting.threads}-batch{setting.batch_size}.json"
    return cache_root() / "devices" / name


def read_profile(path: Path) -> DeviceProfile:
    """The profile in a file.

    Raises:
        RequestError: no such file, or not a profile that this version can read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise RequestError(f"no device profile {str(path)!r}; compoundnet profile measures this device") from error
    except OSError as error:
        raise RequestError(f"cannot read device profile {str(path)!r}: {error.strerror}") from error
    except ValueError as error:  # its text, or a NUL in its name
        raise RequestError(f"device profile {str(path)!r} is not a JSON text file: {error}") from error
    try:
        return DeviceProfile.from_json(text)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error


def opened_profile(profile: DeviceProfile | str | Path | None) -> DeviceProfile:
    """The profile itself, that of a file, or for None what ``compoundnet profile`` left of eager PyTorch, one thread.

    Raises:
        RequestError: as :func:`read_profile`, or something else.
    """
    if isinstance(profile, DeviceProfile):
        return profile
    if profile is None:
        return read_profile(default_profile_path(Setting()))
    if not isinstance(profile, (str, Path)):
        raise RequestError(
            f"profile is {profile!r:.60}; give a file that compoundnet profile wrote, or a DeviceProfile"
        )
    return read_profile(Path(profile))


def predict_ms(
    profile: DeviceProfile, arch: Architecture, *, depth: Number = 1.0, width: Number = 1.0, resolution: Number = 1.0
) -> Any:
    """Predicted ms of a batch, of ``arch`` scaled by the multipliers: a float for numbers, an array for arrays.

    It never falls where a multiplier rises, but for the projections of ResNets (see above).

    Raises:
        RequestError: a multiplier that is no number, is not positive or makes too large a network, or arrays that do
            not broadcast.
    """
    axes = multipliers(depth, width, resolution)
    if isinstance(axes[0], (int, float)):
        return float(_priced(profile, arch, layers_of(arch, depth=axes[0], width=axes[1], resolution=axes[2])))
    import numpy as np

    d, w, r = (axis.ravel() for axis in axes)
    ms = np.empty(d.size)
    for start in range(0, d.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        ms[part] = _priced(profile, arch, layers_of(arch, depth=d[part], width=w[part], resolution=r[part]))
    return ms.reshape(axes[0].shape)


def _priced(profile: DeviceProfile, arch: Architecture, layers: Iterable[Layer]) -> Any:
    prices, batch_size = profile.prices_ms, profile.setting.batch_size
    ms: Any = 0.0
    for layer in layers:
        one: Any = 0.0
        for kind, amount in work_of(layer, arch, batch_size):
            if price := prices.get(kind, 0.0):
                one = one + price * amount
        ms = ms + layer.copies * one
    return ms


class Fit(NamedTuple):
    """Prices of work, and how far predictions were off on networks kept out of the fit."""

    prices_ms: dict[str, float]
    error: float  # mean relative error


def fit(networks: Sequence[Architecture], ms: Sequence[float], batch_size: int) -> Fit:
    """Prices that explain what the networks took, by non-negative least squares on the relative error.

    Every kind of work gets a price of at least zero (Lawson & Hanson 1974), so that predictions grow with
    sizes; each row is divided by its time, so that small networks count as much as large ones. The error
    is that of ten-fold cross-validation.
    """
    import numpy as np

    amounts = np.array([_amounts(arch, batch_size) for arch in networks])
    times = np.asarray(ms, np.float64)
    fold = np.arange(len(times)) % min(_FOLDS, len(times))
    predicted = np.empty_like(times)
    for number in np.unique(fold):
        out = fold == number
        predicted[out] = amounts[out] @ _solve(amounts[~out], times[~out])
    prices = {name: float(price) for name, price in zip(WORK, _solve(amounts, times), strict=True) if price > 0}
    return Fit(prices, float(np.mean(np.abs(predicted / times - 1))))


def _amounts(arch: Architecture, batch_size: int) -> list[float]:
    total: defaultdict[str, float] = defaultdict(float)
    for layer in layers_of(arch):
        for kind, amount in work_of(layer, arch, batch_size):
            total[kind] += layer.copies * amount
    return [total[kind] for kind in WORK]


def _solve(amounts: "Floats", times: "Floats") -> "Floats":
    import numpy as np
    from scipy.optimize import nnls

    relative = amounts / times[:, None]
    scale = np.sqrt(np.mean(relative**2, axis=0))
    scale[scale == 0] = 1  # work that no network does
    prices, _ = nnls(relative / scale, np.ones(len(times)))
    found: Floats = prices / scale
    return found
