"""Everything heavy that a run imports, loaded once in the process that all killed and racing runs are forked from."""

from __future__ import annotations

import gc
import importlib
import warnings
from pathlib import Path
from threading import RLock

from tqdm import tqdm

from flows.environment import code
from tasks.curate.validation.expectations import import_gx

__all__ = ["THREADS"]

MODULES = (
    *("flows.refresh", "flows.reembed", "flows.rollback", "flows.audit", "flows.cli.app", "flows.views.run"),
    *(
        "models.text.stub",
        "models.text.tokenizer",
        "storage.reader",
        "storage.sources.folder",
        "storage.sources.markup",
    ),
    *("lance", "pandas", "fsspec.implementations.local", "jinja2.ext", "orjson"),
)

for module in MODULES:
    importlib.import_module(module)
import_gx()
code()  # asks git once, not once a run
gc.freeze()  # else each child walks, and so copies, all that was imported
# Its own lock is one semaphore for all children: one that is killed while it draws would stop the others for ever.
tqdm.set_lock(RLock())
# True once Lance has run; here it is only imported, as THREADS proves.
warnings.filterwarnings("ignore", message="lance is not fork-safe")
# Native threads by name: Lance's and polars' own must not run before a fork.
THREADS = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
