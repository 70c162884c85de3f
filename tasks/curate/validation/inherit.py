"""How models of pydantic's first version, as Great Expectations has them, take the fields of their base class over.

`copy.deepcopy` walks each field down to the arguments of its types, in each of 300 classes: a fourth of that import.
And the same few validators are wrapped for each field anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

__all__ = ["fields_taken_over"]

# What the class that takes a field over may change in place, or hands out to instances; all else is set anew, or is a
# type, a function or a word, of which a copy is the thing itself.
OWN = ("sub_fields", "sub_fields_mapping", "key_field", "default", "class_validators", "field_info")
OWN_INFO = ("extra", "default", "exclude", "include")


@contextmanager
def fields_taken_over() -> Iterator[None]:
    """Within it a field is copied as far as its class may change it, and shares its types with that of the base."""
    from pydantic.v1 import class_validators
    from pydantic.v1.class_validators import Validator
    from pydantic.v1.fields import FieldInfo, ModelField

    kinds: dict[Any, tuple[str, ...]] = {ModelField: OWN, FieldInfo: OWN_INFO, Validator: ()}
    for kind, own in kinds.items():
        kind.__deepcopy__ = _copier(own)
    wrap = class_validators.make_generic_validator
    class_validators.make_generic_validator = cache(wrap)  # what it makes of a function holds nothing else
    try:
        yield
    finally:
        class_validators.make_generic_validator = wrap
        for kind in kinds:
            del kind.__deepcopy__


def _copier(own: tuple[str, ...]) -> Any:
    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        kind: Any = type(self)
        made = memo[id(self)] = kind.__new__(kind)
        for name in kind.__slots__:
            value = getattr(self, name)
            setattr(made, name, deepcopy(value, memo) if name in own and value is not None else value)
        return made

    return __deepcopy__
