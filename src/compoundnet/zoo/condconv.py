"""EfficientNet-CondConv (Yang et al., NeurIPS 2019): B0 with mixed kernels in its last three stages, named as in timm.

``cc_b0_4e`` and ``cc_b0_8e`` have four and eight experts, ``cc_b1_8e`` ("b0-8e-depth" in the original) 1.1 times
the depth. Every name exists twice, as in :mod:`compoundnet.zoo.efficientnet`.
"""

from dataclasses import replace

from compoundnet.architecture import Architecture, CondMBConv, MBConv, Stage
from compoundnet.preprocessing import Preprocessing
from compoundnet.zoo import efficientnet
from compoundnet.zoo.rows import HALF, Coefficients, both_forms, prepared, variant

__all__ = ["ARCHITECTURES", "PREPROCESSING"]

_B0 = efficientnet.ARCHITECTURES["tf_efficientnet_b0"]
_MIXED = 3  # stages, the last ones


def _with_experts(stage: Stage, experts: int) -> Stage:
    block = stage.block
    assert isinstance(block, MBConv)
    return replace(stage, block=CondMBConv(kernel=block.kernel, expansion=int(block.expansion), experts=experts))


def _base(experts: int) -> Architecture:
    mixed = (_with_experts(stage, experts) for stage in _B0.stages[-_MIXED:])
    return replace(_B0, stages=(*_B0.stages[:-_MIXED], *mixed))


# tensorflow/tpu 3ced9dc models/official/efficientnet/condconv/efficientnet_condconv_builder.py. The last stands there
# at 224 pixels; at 240, B1's, as in timm.
_ROWS: dict[str, Coefficients] = {
    "efficientnet_cc_b0_4e": Coefficients(1.0, 1.0, 224, 0.25, 0.875),
    "efficientnet_cc_b0_8e": Coefficients(1.0, 1.0, 224, 0.25, 0.875),
    "efficientnet_cc_b1_8e": Coefficients(1.0, 1.1, 240, 0.25, 0.882),
}
_EXPERTS = {"efficientnet_cc_b0_4e": 4, "efficientnet_cc_b0_8e": 8, "efficientnet_cc_b1_8e": 8}

ARCHITECTURES: dict[str, Architecture] = {
    arch.name: arch
    for name, row in _ROWS.items()
    for arch in both_forms(variant(_base(_EXPERTS[name]), f"tf_{name}", row))
}
"""Every variant, by name."""

PREPROCESSING: dict[str, Preprocessing] = prepared(_ROWS, HALF, HALF)
"""x / 127.5 - 1 as in timm; the original code has (x - 127) / 128. A weights record, if there is one, comes first."""
