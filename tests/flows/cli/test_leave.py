"""How a command's process ends: at once, with its exit code, and with everything written."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def process(body: str) -> subprocess.CompletedProcess[str]:
    code = "from flows.cli.leave import leaving\nimport atexit, sys, threading, time\n" + textwrap.dedent(body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("ended", "code"), [("return", 0), ("sys.exit(5)", 5), ("sys.exit()", 0), ("1 / 0", 1)])
def test_the_exit_code_is_that_of_the_command(ended: str, code: int) -> None:
    found = process(f"""
        def command():
            print("told")
            {ended}
        leaving(command)
        """)
    assert (found.returncode, found.stdout) == (code, "told\n")


def test_a_reason_to_end_is_told_as_python_tells_it() -> None:
    found = process("leaving(lambda: sys.exit('no store'))")
    assert (found.returncode, found.stderr) == (1, "no store\n")


def test_threads_are_waited_for_and_what_asked_for_the_end_is_called_before_modules_go() -> None:
    found = process("""
        class Late:
            def __del__(self):
                print("never: the interpreter is not taken down")
        kept = Late()
        def slow():
            time.sleep(0.2)
            print("thread")
        def command():
            threading.Thread(target=slow).start()
            atexit.register(print, "atexit")
        leaving(command)
        """)
    assert (found.returncode, found.stdout) == (0, "thread\natexit\n")


def test_pandas_is_left_out_until_somebody_needs_it() -> None:
    code = """
        import sys
        from storage.tables.store import Store
        import lance
        import pyarrow as pa
        assert "pandas" not in sys.modules
        assert pa.table({"a": [1, None]}).to_pandas()["a"].isna().sum() == 1
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_help_needs_no_parser_of_markdown_and_leaves_the_real_one_to_others() -> None:
    code = """
        import sys
        from flows.cli.app import main
        sys.argv = ["tidemark", "--help"]
        try:
            main()
        except SystemExit:
            pass
        assert not {"markdown_it", "pandas", "pydantic", "polars", "tomllib"} & set(sys.modules)
        from rich.markdown import Markdown
        assert Markdown("# Head").parsed
        """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "refresh" in found.stdout
