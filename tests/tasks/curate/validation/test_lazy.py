"""Modules that wait for their first use."""

from __future__ import annotations

import subprocess
import sys


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_a_late_module_is_imported_at_its_first_use() -> None:
    script = """
import sys
from tasks.curate.validation.lazy import lazy
with lazy("colorsys"):
    import colorsys as bound
print("colorsys" in sys.modules, bound.rgb_to_hsv(0, 0, 0), "colorsys" in sys.modules)
import colorsys
print(type(colorsys).__name__)
"""
    assert run(script) == "False (0.0, 0.0, 0) True\nmodule\n"


def test_a_submodule_can_be_imported_meanwhile() -> None:
    script = """
from tasks.curate.validation.lazy import lazy
with lazy("xml.dom"):
    from xml.dom import minidom
    import xml.dom
print(minidom.parseString("<a/>").documentElement.tagName, xml.dom.Node.ELEMENT_NODE)
"""
    assert run(script) == "a 1\n"


def test_great_expectations_starts_without_what_it_does_not_use() -> None:
    script = """
import sys
from tasks.curate.validation.expectations import import_gx
import_gx()
print([name for name in ("altair", "scipy.stats", "sqlalchemy", "boto3", "mistune", "smtplib") if name in sys.modules])
import sqlalchemy
"""
    assert run(script) == "[]\n"


def test_what_is_amended_is_so_for_all_that_import_it_and_finds_its_own_functions_changed() -> None:
    script = """
import sys
from tasks.curate.validation.lazy import amended
with amended("colorsys", ONE_THIRD=5.0):
    import colorsys
    import textwrap
print(colorsys.ONE_THIRD, colorsys.rgb_to_hls(1, 1, 1))
del sys.modules["colorsys"]
import colorsys
print(colorsys.ONE_THIRD)
"""
    assert run(script) == "5.0 (0.0, 1.0, 0.0)\n0.3333333333333333\n"


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
