"""Classes that take fields over quickly are the classes that they would be otherwise, and leave their bases alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Optional, Union  # noqa: UP035 # as models of pydantic's first version are written

import pytest
from pydantic.v1 import BaseModel, Field, validator

from tasks.curate.validation.inherit import fields_taken_over

SAID = """
import json, sys
from great_expectations.compatibility import pydantic
from great_expectations.expectations import registry

def told(field):
    words = [str(getattr(field, name)) for name in field.__slots__ if "validators" not in name and name[:3] != "sub"]
    words += [[v.__qualname__ for v in getattr(field, name) or ()] for name in ("pre_validators", "post_validators")]
    return [*words, len(field.validators), [told(each) for each in field.sub_fields or ()]]

def below(kind):
    for each in kind.__subclasses__():
        yield each
        yield from below(each)

found = {}
for kind in {each for each in below(pydantic.BaseModel) if each.__module__.startswith("great_expectations")}:
    fields = {name: told(field) for name, field in kind.__fields__.items()}
    found.setdefault(f"{kind.__module__}.{kind.__qualname__}", []).append(fields)
for name in registry.list_registered_expectation_implementations():
    found[name] = registry.get_expectation_impl(name).schema_json()
json.dump({name: found[name] for name in sorted(found)}, sys.stdout, default=str)
"""


def _classes(importing: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", importing + SAID],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r" at 0x\w+", "", done.stdout)


def test_great_expectations_has_the_classes_that_it_has_by_itself() -> None:
    quick = _classes("from tasks.curate.validation.expectations import import_gx\nimport_gx()\n")
    plain = _classes("import great_expectations\n")
    assert len(quick) > 100_000
    ours, whole = json.loads(quick), json.loads(plain)
    assert ours == {name: fields for name, fields in whole.items() if name in ours}
    # Databases and file stores, of which nothing is read here.
    elsewhere = re.compile(r"great_expectations\.datasource\.fluent\.(?!pandas_datasource|interfaces).*", re.DOTALL)
    assert [name for name in whole if name not in ours and not elsewhere.fullmatch(name)] == []


class Part(BaseModel):
    size: int = 1


class Base(BaseModel):
    name: str = Field("a", title="Name", max_length=9, unit="letters")
    parts: List[Part] = []  # noqa: UP006
    either: Union[int, Late, None] = None  # noqa: UP007
    notes: dict[str, list[int]] = {"x": [1]}
    last: Optional[int] = Field(None, gt=3)  # noqa: UP045

    @validator("name")
    def _short(cls, value: str) -> str:
        return value.strip()


def _derived() -> Any:
    class Derived(Base):
        other: int = 2

        class Config:
            fields = {"name": {"alias": "called"}}  # noqa: RUF012

        @validator("name", "parts", pre=True, allow_reuse=True)
        def _upper(cls, value: Any) -> Any:
            return value.upper() if isinstance(value, str) else value

    return Derived


class Late(BaseModel):
    here: int


Base.update_forward_refs()


def test_a_class_may_change_what_it_took_over_and_its_base_stays() -> None:
    before = str(Base.schema()), repr(Base.__fields__), [len(f.class_validators) for f in Base.__fields__.values()]
    plain = _derived()
    with fields_taken_over():
        quick = _derived()
    assert quick.schema() == plain.schema()
    assert repr(quick.__fields__) == repr(plain.__fields__)
    assert quick(called=" b ").name == plain(called=" b ").name == "B"
    assert quick(either={"here": 1}, parts=[{"size": "2"}]) == quick(either=Late(here=1), parts=[Part(size=2)])
    quick().notes["x"].append(2)
    quick.__fields__["notes"].default["y"] = [3]
    quick.__fields__["parts"].sub_fields, quick.__fields__["name"].field_info.extra["unit"] = [], "words"
    after = str(Base.schema()), repr(Base.__fields__), [len(f.class_validators) for f in Base.__fields__.values()]
    assert after == before
    with pytest.raises(ValueError, match="greater than 3"):
        quick(last=2)


def test_fields_are_copied_as_ever_afterwards() -> None:
    field = type(Base.__fields__["name"])
    with fields_taken_over():
        assert hasattr(field, "__deepcopy__")
    assert not hasattr(field, "__deepcopy__")
