"""How large the parts of an honest document may be; beyond, it is refused rather than stored.

The bounds are far above what real layers hold: a country's coastline takes some megabytes.
"""

from __future__ import annotations

#: Elements within elements.
DEPTH = 100
#: Bytes of one tag, with its attributes; also of one comment or instruction.
TAG = 1 << 20
#: Characters of one text, such as a value or a `posList`.
TEXT = 64 << 20
#: Bytes of one feature.
FEATURE = 256 << 20
#: Different property names in one document.
PROPERTIES = 10_000
#: Tags of geometry that a document's links may stand for.
LINKED = 1_000_000
#: Values of a batch, those that are absent included.
CELLS = 2_000_000
#: The same in a block, where properties come up that were in none before.
CROWDED = 10 * CELLS
#: Bytes of the smallest feature, or a few less.
SMALLEST = 8
#: Rows of a batch, and the bytes of the document that they take; a block more may come.
ROWS = 16_384
BYTES = 8 << 20
