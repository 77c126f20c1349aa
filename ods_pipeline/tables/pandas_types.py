"""Arrow types as pandas keeps them without loss; pandas by itself rounds integers beside a null.

`12345678901234567` in a column with one null becomes a float, and so another number; a boolean
becomes an object. The nullable types hold both, and a column's type does not depend on the day.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def lossless(kind: pa.DataType) -> Any:
    """The pandas type for an Arrow type, None for pandas' own choice; for `types_mapper=`."""
    import pandas as pd

    if pa.types.is_int64(kind):
        return pd.Int64Dtype()
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else None
