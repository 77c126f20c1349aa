"""What the annotation of a parameter asks for: a form of rows, of all datasets or by dataset.

Told by the module and the name of the annotation, so that no library is imported that is not used.
"""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from ods_pipeline.errors import ConfigurationError
from ods_pipeline.tables.forms import Form

_FORMS = {form.value: form for form in Form}


def wanted(annotation: Any) -> tuple[Form, bool]:
    """The form that an annotation asks for, and whether it asks for it by dataset.

    Examples:
        >>> import pandas
        >>> wanted(dict[str, pandas.DataFrame])
        (<Form.PANDAS: 'pandas.DataFrame'>, True)

    Args:
        annotation: `Any`, as where there is none, asks for a Table.

    Raises:
        ConfigurationError: Rows cannot be had as that.
    """
    origin = get_origin(annotation) or annotation
    if origin in (dict, Mapping):
        (inner,) = get_args(annotation)[-1:] or (Any,)
        return _form(inner, annotation), True
    return _form(annotation, annotation), False


def _form(annotation: Any, whole: Any) -> Form:
    if annotation is Any:
        return Form.TABLE
    # Libraries keep their classes in modules of their own: `polars.dataframe.frame`.
    library = getattr(annotation, "__module__", "").partition(".")[0].removeprefix("_")
    form = _FORMS.get(f"{library}.{getattr(annotation, '__name__', '')}")
    if form is None:
        told = getattr(whole, "__qualname__", "") if isinstance(whole, type) else ""
        *most, last = _FORMS
        raise ConfigurationError(
            f"rows cannot be given as {told or whole}: annotate the parameter as "
            f"{', '.join(most)} or {last}, or as dict[str, …] of one of these"
        )
    return form
