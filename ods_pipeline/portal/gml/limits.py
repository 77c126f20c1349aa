"""How large the parts of a document may be; a larger one is refused rather than kept in memory.

The limits are far above what real layers need: a country's coastline takes some megabytes. Nothing
here is specific to a portal.
"""

#: Elements within elements.
DEPTH = 100
#: Bytes of one tag with its attributes, one comment or one processing instruction.
TAG = 1 << 20
#: Characters of one text, such as a value or a `posList`.
TEXT = 64 << 20
#: Bytes of one feature.
FEATURE = 256 << 20
#: Different property names in one document.
PROPERTIES = 10_000
#: Tags of geometry that a document's links may stand for.
LINKED = 1_000_000
#: Values of a batch, including absent ones.
CELLS = 2_000_000
#: Values of a block, if new properties occur in it.
CROWDED = 10 * CELLS
#: Bytes of the smallest possible feature, or fewer.
SMALLEST = 8
#: Rows of a batch, and bytes of the document that it takes; one block more is possible.
ROWS = 16_384
BYTES = 8 << 20
