"""Train: a recipe, a plan, two phases, a run folder."""

from compoundnet.train.progress import Event, Observer, console
from compoundnet.train.recipe import RECIPES, Recipe, read_recipe
from compoundnet.train.session import train

__all__ = ["RECIPES", "Event", "Observer", "Recipe", "console", "read_recipe", "train"]
