"""Commands in messages become what to click, where a deployment can do the same."""

from __future__ import annotations

import pytest

from flows.dashboard.clicks import clicked

NAMES = {"refresh": "refresh-nightly", "plan": "plan", "retrain": "retrain"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "if that is right, run `tidemark refresh --accept-deletions --accept-stale`; `tidemark plan` shows it",
            "if that is right, Deployments > refresh-nightly > Run > Custom run > accept_deletions and accept_stale > "
            "Submit; Deployments > plan > Run > Quick run shows it",
        ),
        (
            "`tidemark retrain --yes` publishes it",
            "Deployments > retrain > Run > Custom run > yes > Submit publishes it",
        ),
        # No deployment can do these: there is none, it is no flow, or it has no such parameter.
        ("`tidemark audit` tells", "`tidemark audit` tells"),
        ("see `tidemark quarantine list`", "see `tidemark quarantine list`"),
        ("`tidemark refresh --config FILE`", "`tidemark refresh --config FILE`"),
        ("run `tidemark refresh --fast`", "run `tidemark refresh --fast`"),
    ],
)
def test_a_command_that_a_deployment_can_run_is_what_to_click(said: str, told: str) -> None:
    assert clicked(said, NAMES) == told
