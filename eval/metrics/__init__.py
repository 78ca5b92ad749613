"""Metrics: pure functions from features to numbers, each file with the definitions of its metrics.

A metric id is ``<name>.<encoder>.<version>``, for example ``identity.dino_vits16.v2`` or
``vbench.i2v_subject.dino_vitb16.v2``. The encoder's name is part of the id because two encoders of
one kind give different numbers, and the version is frozen: a change of preprocessing or arithmetic
is a new version, never an edit. `eval.measure.catalogue` lists and parses ids. This package only
holds definitions and arithmetic; it needs no network.
"""

from eval.metrics.definitions import Definition, Features, Metric, SetNotes, SetSteps, metric

__all__ = ["Definition", "Features", "Metric", "SetNotes", "SetSteps", "metric"]
