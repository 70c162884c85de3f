"""A flow run that waits for a person goes on with the answer, and takes no answer for a no."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run
from prefect.runtime import flow_run

from flows.dashboard.approval import approved, asks


def ask(answer: dict[str, Any] | None, patience: int) -> Any:
    """Run a flow that asks; answer once it is paused."""
    found: dict[str, Any] = {}

    @flow
    def asking() -> bool:
        found["id"] = flow_run.id
        found["asks"] = asks()
        return approved("nDCG@10 rose by 0.05", patience=patience, every=1)

    def respond() -> None:
        with get_client(sync_client=True) as client:
            while "id" not in found or not client.read_flow_run(found["id"]).state.is_paused():
                time.sleep(0.1)
        resume_flow_run(found["id"], run_input=answer)

    if answer is not None:
        threading.Thread(target=respond, daemon=True).start()
    return asking(), found["asks"]


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize(("answer", "patience", "wanted"), [({"approve": True}, 60, True), (None, 1, False)])
def test_the_answer_of_the_form_is_the_approval_and_none_is_a_no(
    answer: dict[str, Any] | None, patience: int, wanted: bool
) -> None:
    assert ask(answer, patience) == (wanted, False)  # a flow run of no deployment would not be asked
