"""Asks a Prefect server on this machine over its REST interface, which spares the import of Prefect."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

__all__ = ["ACTIVE", "Dashboard"]

TRIES = 20
ACTIVE = ["RUNNING", "PENDING", "CANCELLING"]


@dataclass(frozen=True)
class Dashboard:
    """A Prefect server.

    Attributes:
        url: Its address, without a path.
        pool: The work pool of our deployments.
    """

    url: str
    pool: str

    def healthy(self) -> bool:
        """Whether it answers and says that it is well."""
        try:
            return self.request("/health", method="GET") is True
        except OSError:
            return False

    def ready_pool(self) -> None:
        """Create the work pool unless it is there."""
        self.request("/work_pools/", {"name": self.pool, "type": "process"}, accept=409)

    def worker_online(self, *, since: datetime | None = None) -> bool:
        """Whether a worker of the pool is polling.

        Args:
            since: Only believe a sign of life that is later than this.
        """
        try:
            workers = self.request(f"/work_pools/{self.pool}/workers/filter", {}, accept=404) or []
        except OSError:
            return False
        # The server calls a worker online for a minute and a half after its last sign of life.
        floor = since or datetime.now(UTC) - timedelta(seconds=90)
        return any(
            worker["status"] == "ONLINE" and datetime.fromisoformat(worker["last_heartbeat_time"]) >= floor
            for worker in workers
        )

    def active_runs(self) -> list[dict[str, Any]]:
        """The flow runs of the pool that the server believes to be at work."""
        query = {
            "work_pools": {"name": {"any_": [self.pool]}},
            "flow_runs": {"state": {"type": {"any_": ACTIVE}}},
        }
        runs: list[dict[str, Any]] = self.request("/flow_runs/filter", query)
        return runs

    def crash_runs(self, message: str, *, alive: Collection[str]) -> int:
        """Mark the active flow runs whose process is gone as crashed.

        Args:
            message: Why, for the dashboard.
            alive: The ids of the flow runs that have a process.

        Returns:
            How many were marked.
        """
        lost = [run for run in self.active_runs() if run["id"] not in alive]
        for run in lost:
            state = {"type": "CRASHED", "name": "Crashed", "message": message}
            # Forced, because the rules would turn a crash of a cancelled or pending run down.
            self.request(f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
        return len(lost)

    def watch_heartbeats(self, name: str, *, seconds: float) -> None:
        """Create the automation that crashes a flow run that gave no sign of life, unless it is there.

        Args:
            name: Of the automation.
            seconds: How long a run may be silent.
        """
        known = self.request("/automations/filter", {"automations": {"name": {"any_": [name]}}})
        if known:
            return
        trigger = {
            "type": "event",
            "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
            "after": ["prefect.flow-run.heartbeat"],
            "expect": ["prefect.flow-run.*"],  # any name, since our states have names of their own
            "for_each": ["prefect.resource.id"],
            "posture": "Proactive",
            "threshold": 1,
            "within": seconds,
        }
        action = {
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "message": f"no sign of life for {seconds:.0f} s: its process or its machine is gone",
        }
        self.request("/automations/", {"name": name, "trigger": trigger, "actions": [action]})

    def schedules(self) -> list[str]:
        """One line a deployment: its name and when it runs."""
        query = {"work_pools": {"name": {"any_": [self.pool]}}}
        lines = []
        for deployment in self.request("/deployments/filter", query):
            flow = self.request(f"/flows/{deployment['flow_id']}", method="GET")["name"]
            crons = [
                f"{each['schedule'].get('cron')} {each['schedule'].get('timezone') or 'UTC'}"
                for each in deployment["schedules"]
                if each["active"]
            ]
            lines.append(f"{flow}/{deployment['name']}: {', '.join(crons) or 'by hand'}")
        return sorted(lines)

    def unscheduled(self) -> list[str]:
        """The names of the deployments that have a schedule and no next run, seconds after they were created."""
        query = {"work_pools": {"name": {"any_": [self.pool]}}}
        missing = []
        for deployment in self.request("/deployments/filter", query):
            runs = {
                "deployments": {"id": {"any_": [deployment["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
                "limit": 1,
            }
            active = not deployment["paused"] and any(each["active"] for each in deployment["schedules"])
            if active and not self.request("/flow_runs/filter", runs):
                missing.append(deployment["name"])
        return missing

    def request(self, path: str, body: Any = None, *, method: str = "POST", accept: int = 200) -> Any:
        """Send one request.

        Args:
            path: Below /api.
            body: Sent as JSON.
            method: Of HTTP.
            accept: An error status that is none here; its answer is None.

        Returns:
            The decoded answer.

        Raises:
            OSError: The server does not answer or refuses.
        """
        request = urllib.request.Request(  # noqa: S310 - our own address on the loopback interface
            f"{self.url}/api{path}",
            data=None if method == "GET" else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        # A proxy of the environment must not see, and could not reach, the loopback interface.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for left in reversed(range(TRIES)):
            try:
                with opener.open(request, timeout=10) as answer:
                    text = answer.read()
                break
            except urllib.error.HTTPError as error:
                if error.code == accept:
                    return None
                # The embedded database is locked for a moment whenever somebody else writes.
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or not left:
                    detail = error.read().decode(errors="replace")[:400]
                    raise OSError(f"{method} {path}: {error.code} {detail}") from error
                time.sleep(0.3)
        return json.loads(text) if text else None
