"""Trained networks to the Hugging Face hub and back: a folder that compoundnet, and where it can timm, loads."""

from compoundnet.hub.pretrained import from_pretrained
from compoundnet.hub.publish import push_to_hub, save_pretrained

__all__ = ["from_pretrained", "push_to_hub", "save_pretrained"]
