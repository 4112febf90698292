"""A data frame grouped and joined: the import is what a large package costs."""

import numpy
import pandas


def handler(event, context):
    n = event.get("n", 20_000)
    dice = numpy.random.default_rng(1)
    frame = pandas.DataFrame({"key": dice.integers(0, 50, n), "value": dice.random(n)})
    means = frame.groupby("key")["value"].mean().rename("mean").reset_index()
    joined = frame.merge(means, on="key")
    above = int((joined["value"] > joined["mean"]).sum())
    return {"n": n, "keys": len(means), "above": above}
