"""What is to be compared: names, files and run folders turned into networks, each with its accuracy and its source."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from compoundnet import zoo
from compoundnet.baselines import FactoryBaseline, is_factory, open_baseline
from compoundnet.compare.published import PAPER, PUBLISHED, Published, find_published
from compoundnet.errors import RequestError, plain, unknown
from compoundnet.run import RunFolder
from compoundnet.zoo import AnyNetwork, list_networks
from compoundnet.zoo.comparators import Comparator, Timm, read_network

__all__ = ["IMAGENET", "Accuracy", "Asked", "Compared", "asked_for"]

Compared: TypeAlias = AnyNetwork | FactoryBaseline
"""What can be counted and measured: an architecture, a comparator, or what a factory builds at multipliers of 1."""

IMAGENET = "ImageNet"
"""What published accuracies are measured on."""

_SPLITS = ("test", "validation")  # which of a run's counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """Shares of images right at first, and among the first five, and who says so.

    ``data`` tells sets of images apart, ``on`` names them and their split; ``images`` is how many were judged, None
    where a source does not say.
    """

    top1: float
    top5: float | None
    on: str
    data: str
    source: str
    note: str = ""
    images: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A network to compare; ``network`` is None where it is not implemented, ``published`` where no source is."""

    given: str  # by the user
    label: str
    network: Compared | None
    published: Published | None = None
    accuracy: Accuracy | None = None
    run: Path | None = None

    def published_value(self, cost: str) -> int | None:
        """The source's own figure of ``params`` or ``macs``; of other costs there is none."""
        row = self.published
        figures = {} if row is None else {"params": (row.params_m, 6), "macs": (row.macs_g, 9)}
        value, power = figures.get(cost, (None, 0))
        return None if value is None else int(value.scaleb(power))

    @property
    def identity(self) -> object:
        """Equal for two that are the same."""
        if self.run is not None:
            return self.run.resolve()
        return self.label if self.network is None or isinstance(self.network, FactoryBaseline) else self.network


def asked_for(given: Sequence[str | Path], paper: bool = False, side: int | None = None) -> list[Asked]:
    """Networks by a zoo's name, a published name, a JSON file, a factory or a run folder; none given: the paper's.

    With ``paper`` those of the paper come first, but for what is given anyway; timm's are there as published where timm
    is not installed. ``side`` is what factories are given,
    224 pixels unless said. Labels are distinct.

    Raises:
        RequestError: an unknown name, a file or a run that cannot be read, one that has not ended, the same twice, a
            factory that does not work, or a side without a factory.
    """
    if side is not None and not any(is_factory(str(one)) for one in given):
        raise RequestError(f"base-resolution {side} goes with a factory; every other network has its own")
    mine = [_asked(str(one), side) for one in given]
    for one, another in _same(mine):
        again = "is given twice" if one.given == another.given else f"is the same network as {one.given!r}"
        raise RequestError(f"{another.given!r} {again}; name it once")
    theirs = [_at_hand(_asked(name, None)) for name in PAPER] if paper or not given else []
    known = {one.identity for one in mine}
    return _distinct([*(one for one in theirs if one.identity not in known), *mine])


def _same(asked: Sequence[Asked]) -> Iterable[tuple[Asked, Asked]]:
    seen: dict[object, Asked] = {}
    for one in asked:
        if one.identity in seen:
            yield seen[one.identity], one
        seen[one.identity] = one


def _asked(given: str, side: int | None) -> Asked:
    path = Path(given)
    if given.endswith(".json"):
        return _of_network(given, zoo.network(given))
    if is_factory(given):
        baseline = open_baseline(given, side, scales=())
        assert isinstance(baseline, FactoryBaseline)
        return Asked(given=given, label=given, network=baseline)
    row = find_published(given)
    if row is not None and (not row.names or given.casefold() == row.label.casefold()):
        given_network = zoo.network(row.names[0]) if row.names else None
        return Asked(given=given, label=row.label, network=given_network, published=row, accuracy=_said(row))
    if given in list_networks():
        return _of_network(given, zoo.network(given))
    if _is_folder(path) or "/" in given:
        return _of_run(given, path)
    raise unknown("network or run", given, (*list_networks(), *PUBLISHED))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file can have
        return False


def _at_hand(one: Asked) -> Asked:
    """Without the network if it is timm's, and timm is missing: a default may not ask for more than is installed."""
    timms = isinstance(one.network, Comparator) and isinstance(one.network.maker, Timm)
    return replace(one, network=None) if timms and find_spec("timm") is None else one


def _of_network(given: str, network: AnyNetwork) -> Asked:
    """With what is published of it, if it is that very network: a name alone proves nothing of a file."""
    row = find_published(network.name)
    if row is None or network.name not in row.names or zoo.network(network.name) != network:
        return Asked(given=given, label=network.name, network=network)
    label = row.label if network.name == row.names[0] else network.name
    return Asked(given=given, label=label, network=network, published=row, accuracy=_said(row))


def _said(row: Published) -> Accuracy:
    return Accuracy(
        top1=_share(row.top1), top5=None if row.top5 is None else _share(row.top5), on=IMAGENET, data=IMAGENET,
        source=row.source, note=row.note,
    )  # fmt: skip


def _share(percentage: float) -> float:
    """With the source's digits and no more: 77.1 / 100 is 0.7709999999999999 to a machine."""
    return round(percentage / 100, 6)


def _of_run(given: str, path: Path) -> Asked:
    if not path.exists():
        raise RequestError(f"{given!r} is neither a run folder nor a network; compoundnet list shows the networks")
    folder = RunFolder(path)
    record = folder.read_record()
    if record.get("status") != "finished" or not folder.weights_file.is_file():
        raise RequestError(
            f"run {given!r} has no result yet: its training has not ended; the same train command goes on"
        )
    try:
        network = read_network(folder.architecture_file.read_text(encoding="utf-8"))
        accuracy = _measured(record, given)
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise RequestError(f"run {given!r} is damaged: {error}") from error
    return Asked(given=given, label=plain(path.resolve().name), network=network, accuracy=accuracy, run=path)


def _measured(record: Mapping[str, Any], given: str) -> Accuracy | None:
    """A run's accuracy on its held-out images, test before validation; None: nothing was held out."""
    data, judged = record["data"], record["evaluations"]
    for split in _SPLITS:
        if split in judged:
            found = judged[split]
            top1, top5 = (None if found[key] is None else float(found[key]) for key in ("top1", "top5"))
            if top1 is None or not 0 <= top1 <= (1 if top5 is None else top5) <= 1:
                raise ValueError(f"its top1 is {found['top1']!r}, its top5 {found['top5']!r}")
            if (images := int(found["n"])) < 1:
                raise ValueError(f"it was judged on {images} images")
            return Accuracy(
                top1=top1, top5=top5, on=f"{plain(str(data['name']))}, {split}", data=f"{data['fingerprint']} {split}",
                source=f"measured by {given}", images=images,
            )  # fmt: skip
    return None


def _distinct(asked: Sequence[Asked]) -> list[Asked]:
    """Those whose label another has too are called as they were given, and by a number where that helps nothing."""
    shared = Counter(one.label for one in asked)
    named = [one if shared[one.label] == 1 else replace(one, label=one.given) for one in asked]
    taken: set[str] = set()
    distinct = []
    for one in named:
        label, number = one.label, 1
        while label in taken:
            number += 1
            label = f"{one.label} ({number})"
        taken.add(label)
        distinct.append(replace(one, label=label))
    return distinct
