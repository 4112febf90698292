"""A data frame to Arrow's columns and back: a package as large as one may be."""

import numpy
import pandas
import pyarrow


def handler(event, context):
    n = event.get("n", 20_000)
    dice = numpy.random.default_rng(1)
    frame = pandas.DataFrame({"key": dice.integers(0, 50, n), "value": dice.random(n)})
    table = pyarrow.Table.from_pandas(frame)
    back = table.to_pandas()
    return {"n": n, "columns": table.num_columns, "same": bool(back.equals(frame))}
