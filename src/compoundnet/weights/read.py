"""Reading weights for a network of either kind: an architecture or a comparator."""

from pathlib import Path

from compoundnet.architecture import Architecture
from compoundnet.weights.comparators import read_comparator_weights
from compoundnet.weights.load import Weights, read_architecture_weights
from compoundnet.zoo.comparators import AnyNetwork

__all__ = ["read_weights"]


def read_weights(source: str | Path, network: AnyNetwork) -> Weights:
    """The weights that ``source`` names, in our layout and checked name by name against ``network``.

    ``source`` is ``"imagenet"`` or another tag of :func:`compoundnet.weights.find`, a hub id ``owner/name``, or a
    file: safetensors in compoundnet's, timm's, torchvision's or lukemelas' layout; ``.h5``, ``.weights.h5`` or
    ``.keras`` of Keras' EfficientNets; or a checkpoint of the original code, by the name that its files share. Files
    are told apart by their first bytes, layouts by the names inside. For a comparator it is ``"imagenet"``, a tag of
    :data:`compoundnet.weights.comparators.WEIGHTS`, or safetensors in our layout or its maker's. A file may have
    other ``classes`` and ``in_channels`` than ``network``, or no classifier; :func:`apply_weights` deals with it.

    Raises:
        RequestError: nothing by that name, no network, a bad file, the weights of another architecture, or of one
            that pads or normalises otherwise; or a package is missing that reads the file.
    """
    if isinstance(network, Architecture):
        return read_architecture_weights(source, network)
    return read_comparator_weights(source, network)
