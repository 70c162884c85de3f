"""What is imported of Great Expectations, and what it can do all the same."""

from __future__ import annotations

from scripts import run


def test_great_expectations_starts_without_what_it_does_not_use() -> None:
    script = """
import sys
from tasks.curate.validation.expectations import import_gx
import_gx()
unused = "altair", "scipy.stats", "sqlalchemy", "boto3", "mistune", "requests", "smtplib"
print([name for name in unused if name in sys.modules])
import sqlalchemy
"""
    assert run(script) == "[]\n"


def test_great_expectations_makes_no_class_of_a_reader_of_pandas_and_judges_frames() -> None:
    script = """
from tasks.curate.validation.expectations import import_gx
gx = import_gx()
from great_expectations.datasource.fluent import PandasDatasource
print(len(PandasDatasource.asset_types))
import pandas
batch = gx.get_context(mode="ephemeral").data_sources.pandas_default.read_dataframe(pandas.DataFrame({"a": [1, None]}))
print(batch.validate(gx.expectations.ExpectColumnValuesToNotBeNull(column="a")).result["unexpected_count"])
"""
    assert run(script) == "2\n1\n"
