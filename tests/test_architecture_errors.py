"""A wrong architecture is refused in one line that names the place and says what would be right."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compoundnet import zoo
from compoundnet.architecture import (
    Architecture,
    BasicBlock,
    Bottleneck,
    CondMBConv,
    DepthwiseSeparable,
    FusedMBConv,
    MBConv,
    Norm,
    Rounding,
    Stage,
)
from compoundnet.errors import RequestError

B0 = zoo.architecture("tf_efficientnet_b0")
RECORD: dict[str, Any] = json.loads(zoo.architecture("tf_efficientnetv2_b0").to_json())
WHOLE = "must be a positive integer"


def stage(**changes: Any) -> Stage:
    return replace(B0.stages[0], **changes)


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: replace(B0, name=""), "name is ''; it must be a text"),
    (lambda: replace(B0, name=3), "name is 3; it must be a text"),  # type: ignore[arg-type]
    (lambda: replace(B0, resolution=0), f"resolution is 0; it {WHOLE}"),
    (lambda: replace(B0, resolution=224.0), f"resolution is 224.0; it {WHOLE}"),  # type: ignore[arg-type]
    (lambda: replace(B0, resolution=10**7), f"resolution is 10000000; it {WHOLE}, at most 1000000"),
    (lambda: replace(B0, stem=-8), f"stem is -8; it {WHOLE}"),
    (lambda: replace(B0, head=True), f"head is True; it {WHOLE}"),
    (lambda: replace(B0, head=0), f"head is 0; it {WHOLE}"),
    (lambda: replace(B0, stem_kernel=4), "stem_kernel is 4; it must be odd"),
    (lambda: replace(B0, stem_kernel=0), f"stem_kernel is 0; it {WHOLE}"),
    (lambda: replace(B0, stem_pool=1), "stem_pool is 1; it must be true, false or 'conv'"),  # type: ignore[arg-type]
    (lambda: replace(B0, stem_pool="max"), "stem_pool is 'max'; it must be true, false or 'conv'"),  # type: ignore[arg-type]
    (lambda: replace(B0, stem_deep=32), "stem_deep is 32; it must be a list of channels, such as [32, 64]"),  # type: ignore[arg-type]
    (lambda: replace(B0, stem_deep="32"), "stem_deep is '32'; it must be a list of channels"),  # type: ignore[arg-type]
    (lambda: replace(B0, stem_deep=(32, 0)), f"stem_deep is 0; it {WHOLE}"),
    (lambda: replace(B0, stem_stride=0), f"stem_stride is 0; it {WHOLE}"),
    (lambda: replace(B0, in_channels=0), f"in_channels is 0; it {WHOLE}"),
    (lambda: replace(B0, classes=0), f"classes is 0; it {WHOLE}"),
    (lambda: replace(B0, stages=()), "architecture 'tf_efficientnet_b0' has no stages; it needs at least one"),
    (lambda: replace(B0, activation="swish"), "unknown activation 'swish'; did you mean 'hardswish'?"),  # type: ignore[arg-type]
    (lambda: replace(B0, activation="x"), "unknown activation 'x'; known: hardswish, relu, relu6, silu"),  # type: ignore[arg-type]
    (lambda: replace(B0, padding="sane"), "unknown padding 'sane'; did you mean 'same'?"),  # type: ignore[arg-type]
    (lambda: replace(B0, dropout=1.0), "dropout is 1.0; it must lie in [0, 1)"),
    (lambda: replace(B0, dropout="0.2"), "dropout is '0.2'; it must lie in [0, 1)"),  # type: ignore[arg-type]
    (lambda: replace(B0, drop_path=-0.1), "drop_path is -0.1; it must lie in [0, 1)"),
    (lambda: replace(B0, drop_path=float("nan")), "drop_path is nan; it must lie in [0, 1)"),
    (lambda: replace(B0, drop_path=False), "drop_path is False; it must lie in [0, 1)"),
    (lambda: stage(channels=0), f"stage.channels is 0; it {WHOLE}"),
    (lambda: stage(repeats=1.5), f"stage.repeats is 1.5; it {WHOLE}"),
    (lambda: stage(stride="2"), f"stage.stride is '2'; it {WHOLE}"),
    (lambda: MBConv(kernel=4, expansion=1), "MBConv.kernel is 4; it must be odd, such as 3 or 5"),
    (lambda: MBConv(kernel=3.0, expansion=1), f"MBConv.kernel is 3.0; it {WHOLE}"),  # type: ignore[arg-type]
    (lambda: MBConv(kernel=3, expansion=0), f"MBConv.expansion is 0; it {WHOLE}"),
    (lambda: MBConv(kernel=3, expansion=1, se_ratio=1.5), "MBConv.se_ratio is 1.5; it must lie in 0..1"),
    (lambda: MBConv(kernel=3, expansion=1, se_ratio=None), "MBConv.se_ratio is None"),  # type: ignore[arg-type]
    (lambda: MBConv(kernel=3, expansion=1, skip=1), "MBConv.skip is 1; it must be true or false"),  # type: ignore[arg-type]
    (lambda: FusedMBConv(kernel=2, expansion=1), "FusedMBConv.kernel is 2; it must be odd"),
    (lambda: MBConv(kernel=2.0, expansion=1), f"MBConv.kernel is 2.0; it {WHOLE}"),  # type: ignore[arg-type]
    (lambda: MBConv(kernel=3, expansion=0.5), "MBConv.expansion is 0.5; it must lie in 1..1000"),
    (lambda: MBConv(kernel=3, expansion=float("nan")), "MBConv.expansion is nan; it must lie in 1..1000"),
    (lambda: MBConv(kernel=3, expansion=1, activation="swish"), "unknown MBConv.activation 'swish'"),  # type: ignore[arg-type]
    (lambda: MBConv(kernel=3, expansion=1, squeeze="v3"), "unknown MBConv.squeeze 'v3'"),  # type: ignore[arg-type]
    (lambda: MBConv(kernel=3, expansion=1, space_to_depth=1), "MBConv.space_to_depth is 1; it must be true or false"),  # type: ignore[arg-type]
    (
        lambda: FusedMBConv(kernel=3, expansion=1, counts_from="in"),
        "unknown FusedMBConv.counts_from 'in'; did you mean",
    ),  # type: ignore[arg-type]
    (lambda: FusedMBConv(kernel=3, expansion=1, se_ratio=2), "FusedMBConv.se_ratio is 2; it must lie in 0..1"),
    (lambda: CondMBConv(kernel=3, expansion=1, experts=0), f"CondMBConv.experts is 0; it {WHOLE}"),
    (lambda: CondMBConv(kernel=4, expansion=1, experts=4), "CondMBConv.kernel is 4; it must be odd"),
    (
        lambda: Stage(block=MBConv(kernel=2, expansion=1, space_to_depth=True), channels=64, repeats=1, stride=1),
        "stage.stride is 1; it must be 2 where the block has space_to_depth",
    ),
    (lambda: replace(B0, hidden=0), f"hidden is 0; it {WHOLE}"),
    (lambda: Rounding(fixed_ends=1), "rounding.fixed_ends is 1; it must be true or false"),  # type: ignore[arg-type]
    (lambda: Rounding(least_head=0), f"rounding.least_head is 0; it {WHOLE}"),
    (lambda: FusedMBConv(kernel=3, expansion=-1), f"FusedMBConv.expansion is -1; it {WHOLE}"),
    (lambda: DepthwiseSeparable(kernel=2), "DepthwiseSeparable.kernel is 2; it must be odd"),
    (lambda: Bottleneck(kernel=-3), f"Bottleneck.kernel is -3; it {WHOLE}"),
    (lambda: Bottleneck(reduction=0), f"Bottleneck.reduction is 0; it {WHOLE}"),
    (lambda: Bottleneck(reduction=2.5), f"Bottleneck.reduction is 2.5; it {WHOLE}"),  # type: ignore[arg-type]
    (lambda: Bottleneck(se_ratio=-0.1), "Bottleneck.se_ratio is -0.1; it must lie in 0..1 (0: no squeeze-excitation)"),
    (lambda: Bottleneck(pool_shortcut=2), "Bottleneck.pool_shortcut is 2; it must be true or false"),  # type: ignore[arg-type]
    (lambda: BasicBlock(kernel=2), "BasicBlock.kernel is 2; it must be odd, such as 3 or 5"),
    (lambda: Norm(eps=0), "norm.eps is 0; it must lie in (0, 1)"),
    (lambda: Norm(eps="1e-3"), "norm.eps is '1e-3'; it must lie in (0, 1)"),  # type: ignore[arg-type]
    (lambda: Norm(eps=float("inf")), "norm.eps is inf; it must lie in (0, 1)"),
    (lambda: Norm(momentum=0), "norm.momentum is 0; it must lie in (0, 1]"),
    (lambda: Norm(momentum=1.5), "norm.momentum is 1.5; it must lie in (0, 1]"),
    (lambda: Rounding(channel_multiple=0), f"rounding.channel_multiple is 0; it {WHOLE}"),
    (lambda: Rounding(resolution_multiple=0.5), f"rounding.resolution_multiple is 0.5; it {WHOLE}"),  # type: ignore[arg-type]
    (lambda: Rounding(channel_floor=1), "rounding.channel_floor is 1; it must lie in [0, 1) (0: off)"),
    (lambda: Rounding(depth="ceiling"), "unknown rounding.depth 'ceiling'; did you mean 'ceil'?"),  # type: ignore[arg-type]
    (lambda: B0.scaled(depth=0), "depth multiplier is 0; it must be a positive number, 1 leaves it as it is"),
    (lambda: B0.scaled(width=-1.5), "width multiplier is -1.5; it must be a positive number"),
    (lambda: B0.scaled(resolution=float("nan")), "resolution multiplier is nan; it must be a positive number"),
    (lambda: B0.scaled(resolution=float("inf")), "resolution multiplier is inf; it must be a positive number"),
    (lambda: B0.scaled(width=1e308), "width multiplier is 1e+308; it must be a positive number"),
    (lambda: B0.scaled(resolution=5e3), f"resolution is 1120000; it {WHOLE}, at most 1000000"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_values(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RequestError, match=f"^{re.escape(message)}"):
        make()


def changed(path: tuple[str | int, ...], value: Any) -> str:
    """The JSON text of an architecture with one place changed."""
    record = copy.deepcopy(RECORD)
    at: Any = record
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(record)


WRONG_JSON: list[tuple[str, str]] = [
    ("", "not JSON: "),
    ("{", "not JSON: "),
    ("\ufeff{}", "not JSON: "),
    ('{"resolution": ' + "9" * 5000 + "}", "not JSON: "),
    ("[" * 100_000, "not JSON: "),
    ("null", "architecture is None; it must be a JSON object"),
    ("[1, 2]", "architecture is [1, 2]; it must be a JSON object"),
    ("{}", "architecture lacks name, resolution, stem, stages, head"),
    ('{"name": "n", "resolution": 1, "stem": 1, "head": 1}', "architecture lacks stages"),
    (changed(("resolutoin",), 3), "unknown field in architecture 'resolutoin'; did you mean 'resolution'"),
    (changed(("resolution",), "224"), f"architecture: resolution is '224'; it {WHOLE}"),
    (changed(("stages",), None), "architecture.stages must be a list"),
    (changed(("stages",), {"0": 1}), "architecture.stages must be a list"),
    (changed(("stages",), []), "architecture: architecture 'tf_efficientnetv2_b0' has no stages"),
    (changed(("stages", 2), 7), "architecture.stages[2] is 7; it must be a JSON object"),
    (changed(("stages", 2), {}), "architecture.stages[2] lacks block, channels, repeats, stride"),
    (
        changed(("stages", 2, "chanels"), 7),
        "unknown field in architecture.stages[2] 'chanels'; did you mean 'channels'?",
    ),
    (changed(("stages", 2, "repeats"), 0), f"architecture.stages[2]: stage.repeats is 0; it {WHOLE}"),
    (changed(("stages", 1, "block"), None), "unknown block type in architecture.stages[1].block 'None'"),
    (
        changed(("stages", 1, "block", "type"), "MBCnv"),
        "unknown block type in architecture.stages[1].block 'MBCnv'; did",
    ),
    (changed(("stages", 1, "block", "type"), []), "unknown block type in architecture.stages[1].block '[]'"),
    (
        changed(("stages", 1, "block", "kernel"), 3.0),
        f"architecture.stages[1].block: FusedMBConv.kernel is 3.0; it {WHOLE}",
    ),
    (changed(("stages", 1, "block", "squeeze"), 0.25), "unknown field in architecture.stages[1].block 'squeeze'"),
    (changed(("norm",), None), "architecture.norm is None; it must be a JSON object"),
    (changed(("norm", "eps"), "1e-3"), "architecture.norm: norm.eps is '1e-3'; it must lie in (0, 1)"),
    (changed(("norm", "eps"), float("nan")), "architecture.norm: norm.eps is nan"),
    (changed(("rounding", "depth"), ["ceil"]), "architecture.rounding: unknown rounding.depth"),
    (changed(("activation",), None), "architecture: unknown activation 'None'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG_JSON, ids=[message for _, message in WRONG_JSON])
def test_wrong_json(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=f"^{re.escape(message)}") as raised:
        Architecture.from_json(text)
    assert len(str(raised.value)) < 300


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of the record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, child in inner for place in ((*path, key), *places(child, (*path, key)))]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
)


@given(st.sampled_from(places(RECORD)), ANYTHING)
def test_whatever_stands_in_a_place_is_taken_or_refused(place: tuple[str | int, ...], value: Any) -> None:
    """Never another error; and what is taken is a value that can be written and read again."""
    try:
        arch = Architecture.from_json(changed(place, value))
    except RequestError:
        return
    assert Architecture.from_json(arch.to_json()) == arch
    assert hash(arch) == hash(Architecture.from_json(arch.to_json()))


@given(ANYTHING)
def test_whatever_the_text_is(value: Any) -> None:
    with pytest.raises(RequestError):
        Architecture.from_json(json.dumps(value))
