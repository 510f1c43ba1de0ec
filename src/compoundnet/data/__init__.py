"""Images in: the forms of DATA, decoding, augmentation, batches. Nothing heavy is imported until it is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compoundnet.data.augment import Augmentation as Augmentation
    from compoundnet.data.augment import evaluation_image as evaluation_image
    from compoundnet.data.augment import mix as mix
    from compoundnet.data.augment import normalize as normalize
    from compoundnet.data.augment import training_image as training_image
    from compoundnet.data.dataset import BadImage as BadImage
    from compoundnet.data.dataset import Dataset as Dataset
    from compoundnet.data.dataset import Split as Split
    from compoundnet.data.dataset import labelled_images as labelled_images
    from compoundnet.data.dataset import open_dataset as open_dataset
    from compoundnet.data.decode import BadImageError as BadImageError
    from compoundnet.data.decode import decode_image as decode_image
    from compoundnet.data.files import cache_root as cache_root
    from compoundnet.data.files import image_files as image_files
    from compoundnet.data.loader import Batch as Batch
    from compoundnet.data.loader import batches as batches
    from compoundnet.data.loader import seed_for as seed_for
    from compoundnet.data.subsets import subset as subset

_WHERE = {
    "augment": ("Augmentation", "evaluation_image", "mix", "normalize", "training_image"),
    "dataset": ("BadImage", "Dataset", "Split", "labelled_images", "open_dataset"),
    "decode": ("BadImageError", "decode_image"),
    "files": ("cache_root", "image_files"),
    "loader": ("Batch", "batches", "seed_for"),
    "subsets": ("subset",),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
