"""What holds a secret is not pickled: neither to another process, nor to a file by mistake."""

from __future__ import annotations

from typing import NoReturn


class Sealed:
    """Refuses to be pickled or copied."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and is not pickled; "
            "make it anew in the other process, from its environment"
        )
