"""Running a batch on Ray: on this machine, or on a cluster that is there."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from impasto.cluster.storage import reason
from impasto.cluster.worker import Attempts, Job, MakeWork, Result, Worker
from impasto.errors import ClusterError, UsageError
from impasto.runtime.cores import usable_cores

# A block is what a worker is given at once, and what is given again where it dies. Ray takes
# about a millisecond for each before the first picture is begun.
_MOST_BLOCKS: Final = 10_000

# Rows are paths and numbers; Ray would take a third of the memory.
_OBJECT_STORE_BYTES: Final = 128 * 2**20

_MOST_STARTS: Final = 3
_CONNECT_S: Final = 10.0
_LOOPBACK: Final = "127.0.0.1"


@contextlib.contextmanager
def ray_started(address: str | None, actors: int | None) -> Iterator[int]:
    """Starts Ray on this machine for as long as the block lasts, or joins a cluster.

    Of one's own machine, nothing listens to others. Ray sends no usage statistics from here, has
    no dashboard, and prints nothing.

    Args:
        address: of a cluster, as for ``ray.init``; None starts Ray on this machine.
        actors: how many workers are wanted; None is one for each core.

    Yields:
        How many there will be.

    Raises:
        ClusterError: Ray does not start, or there is no cluster, or it has no cores.
        UsageError: the address has another form.
    """
    _prepare(alone=address is None)
    import ray

    if address is None:
        actors = actors or usable_cores()
        _start(actors)
    else:
        _join(address)
    # Ray reports on workers that die to stdout, where nothing but ours belongs.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            yield actors or _cores_of_cluster(address)
        finally:
            ray.shutdown()


def run_on_ray(jobs: Sequence[Job], make_work: MakeWork, actors: int) -> Iterator[Result]:
    """Works on pictures; yields what became of each, in the order in which they end.

    The list of jobs is all that Ray Data moves, and it lies ready before the first worker starts:
    a task that reads it would wait for a core that the workers hold. A worker that dies is
    started again, on another machine if its own is gone, and its pictures with it.

    Args:
        jobs: at least one.
        make_work: makes, in each worker, what is done with every picture.
        actors: how many workers of one core each.

    Raises:
        ClusterError: no worker can load the model, or the cluster is gone.
    """
    import ray.data
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    counter = ray.remote(Attempts).options(
        num_cpus=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        max_restarts=-1,
        max_task_retries=-1,
    )
    attempts = counter.remote()
    dataset = ray.data.from_items(
        [asdict(job) for job in jobs], override_num_blocks=min(len(jobs), _MOST_BLOCKS)
    ).map(
        Worker,  # type: ignore[arg-type]  # Ray states the type of functions alone
        fn_constructor_args=(ray.put(make_work), attempts),
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(jobs))),
        num_cpus=1,
    )
    try:
        for row in dataset.iter_rows():
            yield Result(**row)
    except ray.exceptions.RayError as error:
        last_line = str(error).strip().rpartition("\n")[2]
        raise ClusterError(f"the batch stopped: {last_line}") from error


def _start(actors: int) -> None:
    """Starts Ray on this machine; it gives its own parts 30 s, which a busy one may not have."""
    import ray

    for start in range(1, _MOST_STARTS + 1):
        try:
            with _no_dashboard():
                ray.init(
                    address="local",
                    num_cpus=actors,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    object_store_memory=_OBJECT_STORE_BYTES,
                    _node_ip_address=_LOOPBACK,
                )
            return
        except Exception as error:  # Ray raises whatever its parts raise
            ray.shutdown()
            if start == _MOST_STARTS:
                raise ClusterError(
                    f"Ray does not start on this machine: {reason(error)}"
                ) from error


@contextlib.contextmanager
def _no_dashboard() -> Iterator[None]:
    """Leaves out a process of Ray's that asks the network which cloud it is in.

    Told not to show a dashboard and to send no usage statistics, Ray starts it all the same.
    """
    from ray._private.node import Node

    original = Node.start_api_server
    Node.start_api_server = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Node.start_api_server = original  # type: ignore[method-assign]


def _join(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise UsageError(f"--address takes HOST:PORT, such as 10.0.0.1:6379, not {address!r}")
    import ray

    try:
        # Ray itself would try for many minutes.
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except Exception as error:
        ray.shutdown()
        raise ClusterError(
            f"no Ray cluster answers at {address}: {reason(error)}; `ray start --head` starts one, "
            "and a token must be the same on all machines"
        ) from error


def _cores_of_cluster(address: str | None) -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores = int(resources.get("CPU", 0))
    if cores < 1:
        raise ClusterError(f"the Ray cluster at {address} has no cores: add a machine that has")
    return cores


def _prepare(*, alone: bool) -> None:
    """Keeps Ray from telling its makers, and whoever reads our lines, what it does.

    Args:
        alone: Ray is started on this machine, for nobody else: it listens on the loopback
            address, as it does by itself on macOS and Windows.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # without it there is a warning
    if alone:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        # Ray would make a token for good, in the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray.data  # reads these

    warnings.filterwarnings("ignore", module=r"ray\b")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_no_progress_timeout_s = -1  # a large picture may take long
