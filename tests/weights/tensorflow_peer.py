"""Run by tests as a program, since TensorFlow and torch cannot share a process: `tensorflow_peer.py ARRAYS.npz PREFIX`.

Writes a checkpoint as the original code's ``tf.train.Saver`` did: every variable by its scope, beside it its moving
average, which holds the array, and what the optimiser keeps.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["KERAS_BACKEND"] = "tensorflow"  # the tests' own is torch

import numpy as np
import tensorflow as tf

if __name__ == "__main__":
    arrays, v1 = np.load(sys.argv[1]), tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name in arrays:
            v1.get_variable(f"efficientnet-b0/{name}", initializer=arrays[name] + 1)
            v1.get_variable(f"efficientnet-b0/{name}/ExponentialMovingAverage", initializer=arrays[name])
            v1.get_variable(f"efficientnet-b0/{name}/RMSProp_1", initializer=arrays[name] * 0)
        v1.get_variable("global_step", initializer=np.int64(7))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, sys.argv[2])
