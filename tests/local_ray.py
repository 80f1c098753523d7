"""Ray on this machine, for tests and measurements, and for nothing that comes after."""

import os
import uuid

import ray
from ray import serve

from tests.checkout import ROOT


def start() -> None:
    """Start a cluster of this machine, and Serve on it, without HTTP."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray reads it once a process; without one it keeps one in the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", uuid.uuid4().hex)
    os.environ["PYTHONPATH"] = str(ROOT)  # replicas load engines of the tests
    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
    )
    serve.start(proxy_location="Disabled")


def stop() -> None:
    """End all of it."""
    serve.shutdown()
    ray.shutdown()
