"""The learner: RLPD (SAC with demonstrations) on the device, in JAX.

`settings` holds the configuration and imports no JAX; `learner.Learner` folds a stream of transitions into
weights. Networks and replay are plain functions over pytrees.
"""
