"""What a process has imported from which children of tests are forked. It has never run torch."""

import torchvision.transforms.v2

import compoundnet.train
from compoundnet.train.progress import tensorboard_alone

with tensorboard_alone():
    import torch.utils.tensorboard

__all__ = ["compoundnet", "torch", "torchvision"]
