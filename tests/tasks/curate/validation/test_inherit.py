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
from scripts import run

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
    # Databases and file stores, of which nothing is read here, and an interface that no expectation goes by.
    left = (
        r"great_expectations\.(metrics\.|validator\.metric_configuration\.MetricConfigurationID"
        r"|datasource\.fluent\.(?!pandas_datasource|interfaces)).*"
    )
    elsewhere = re.compile(left, re.DOTALL)
    assert [name for name in whole if name not in ours and not elsewhere.fullmatch(name)] == []


JUDGED = """
import json, re, sys
import pandas
from great_expectations import get_context
from great_expectations.expectations import registry
frame = pandas.DataFrame({
    "a": [1, 2, 3, 4, None, 9],
    "b": [2, 1, 3, 5, 7, 9],
    "text": ["x", "yy", "zzz", "x", None, "7"],
    "day": ["2020-01-01", "2021-02-02", "x", "2020-01-05", None, "2022-01-01"],
})
given = {
    "column_A": "a", "column_B": "b", "column_list": ["a", "b"], "column_set": ["a", "b"], "column_index": 0,
    "min_value": 0, "max_value": 5, "value": 6, "sum_total": 5, "value_set": [1, 2, 3], "value_pairs_set": [(1, 2)],
    "regex": "^x", "regex_list": ["^x", "y"], "like_pattern": "x%", "strftime_format": "%Y-%m-%d",
    "type_": "float64", "type_list": ["float64"], "threshold": 2, "double_sided": True, "or_equal": True,
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 9]]}, "json_schema": {"type": "object"}, "mostly": 0.5,
    "partition_object": {"values": [1, 2, 3], "weights": [0.3, 0.3, 0.4]},
}
batch = get_context(mode="ephemeral").data_sources.pandas_default.read_dataframe(frame)
found = {}
for name in sorted(registry.list_registered_expectation_implementations()):
    kind = registry.get_expectation_impl(name)
    arguments = {key: value for key, value in given.items() if key in kind.__fields__}
    for column in ("a", "text", "day") if "column" in kind.__fields__ else (None,):
        try:
            judged = batch.validate(kind(**arguments, **({} if column is None else {"column": column}))).to_json_dict()
        except Exception as error:
            judged = f"{type(error).__name__}: {error}"
        told = json.dumps(judged, sort_keys=True, default=str)
        found[f"{name} of {column}"] = re.sub(r"[0-9a-f-]{32,36}|line [0-9]+", "", told)
json.dump(found, sys.stdout)
"""


def test_great_expectations_judges_as_it_does_by_itself() -> None:
    quick, plain = (
        json.loads(run(importing + JUDGED))
        for importing in (
            "from tasks.curate.validation.expectations import import_gx\nimport_gx()\n",
            "import great_expectations\n",
        )
    )
    assert quick == plain
    assert sum('"raised_exception": false' in told for told in plain.values()) > 100


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
