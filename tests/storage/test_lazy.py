"""Modules that wait for their first use."""

from __future__ import annotations

from scripts import run


def test_a_late_module_is_imported_at_its_first_use() -> None:
    script = """
import sys
from storage.lazy import lazy
with lazy("colorsys"):
    import colorsys as bound
print("colorsys" in sys.modules, bound.rgb_to_hsv(0, 0, 0), "colorsys" in sys.modules)
import colorsys
print(type(colorsys).__name__)
"""
    assert run(script) == "False (0.0, 0.0, 0) True\nmodule\n"


def test_a_submodule_can_be_imported_meanwhile() -> None:
    script = """
from storage.lazy import lazy
with lazy("xml.dom"):
    from xml.dom import minidom
    import xml.dom
print(minidom.parseString("<a/>").documentElement.tagName, xml.dom.Node.ELEMENT_NODE)
"""
    assert run(script) == "a 1\n"


def test_what_is_amended_is_so_for_all_that_import_it_and_finds_its_own_functions_changed() -> None:
    script = """
import sys
from storage.lazy import amended
with amended("colorsys", ONE_THIRD=5.0):
    import colorsys
    import textwrap
print(colorsys.ONE_THIRD, colorsys.rgb_to_hls(1, 1, 1))
del sys.modules["colorsys"]
import colorsys
print(colorsys.ONE_THIRD)
"""
    assert run(script) == "5.0 (0.0, 1.0, 0.0)\n0.3333333333333333\n"


def test_a_hollow_module_has_any_class_and_is_the_real_one_behind_the_block() -> None:
    script = """
import sys
from storage.lazy import hollow
with hollow("colou?r.*|nowhere"):
    from colorsys import Anything
    from nowhere import Thing
    from colours.red.light import Pink
    import textwrap
print(Pink.__name__, Anything.__name__, Thing.__name__, textwrap.fill("a"), "colorsys" in sys.modules)
import colorsys
print(colorsys.rgb_to_hsv(0, 0, 0))
"""
    assert run(script) == "Pink Anything Thing a False\n(0.0, 0.0, 0)\n"
