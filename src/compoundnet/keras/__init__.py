"""Architecture -> keras.Model (Keras 3, any backend), and weights both ways. Read names, layers, blocks, network.

Importing it imports Keras, which the extra ``compoundnet[keras]`` brings; ``KERAS_BACKEND`` chooses torch, jax or
tensorflow beforehand, as ever.
"""

from compoundnet.keras.network import build
from compoundnet.keras.weights import from_keras, to_keras

__all__ = ["build", "from_keras", "to_keras"]
