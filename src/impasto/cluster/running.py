"""Running a batch on Ray, on this machine or on a cluster, and the manifest of its results."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from impasto.cluster import storage
from impasto.cluster.worker import Attempts, Job, MakeWork, Result, Worker
from impasto.errors import ClusterError, UsageError
from impasto.runtime.cores import usable_cores

# A block is what a worker is given at once, and what is given again where it dies. Ray takes
# about a millisecond for each before the first picture is begun.
_MOST_BLOCKS: Final = 10_000

# Rows are paths and numbers; Ray would take a third of the memory.
_OBJECT_STORE_BYTES: Final = 128 * 2**20

MANIFEST_NAME: Final = "manifest.parquet"
# One column for each field of a `Result`, by the first word of its annotation; others are text.
_COLUMNS: Final = {"int": pa.int64(), "float": pa.float64()}

_MOST_STARTS: Final = 3
_CONNECT_S: Final = 10.0
_LOOPBACK: Final = "127.0.0.1"


@contextlib.contextmanager
def ray_started(address: str | None, actors: int | None) -> Iterator[int]:
    """Joins a cluster, or starts Ray on this machine for as long as the block lasts.

    On one's own machine, nothing listens to others. Ray sends no usage statistics from here, has
    no dashboard, and prints nothing.

    Args:
        address: of a cluster, as for ``ray.init``; None starts Ray on this machine.
        actors: how many workers are wanted; None is one for each core.

    Yields:
        The number of workers.

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
            actors = actors or int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
            if not actors:
                raise ClusterError(
                    f"the Ray cluster at {address} has no cores: add a machine that has"
                )
            yield actors
        finally:
            ray.shutdown()


def run_on_ray(jobs: Sequence[Job], make_work: MakeWork, actors: int) -> Iterator[Result]:
    """Works on pictures; yields what became of each, in the order in which they end.

    The list of jobs is all that Ray Data moves, and it lies ready before the first worker starts:
    a task that reads it would wait for a core that the workers hold. A worker that dies is
    started again, on another machine if its own is gone, and its pictures with it.

    Args:
        jobs: at least one.
        make_work: called once in each worker.
        actors: number of workers, of one core each.

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
        [dataclasses.asdict(job) for job in jobs], override_num_blocks=min(len(jobs), _MOST_BLOCKS)
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


def write_manifest(folder: str, results: Sequence[Result]) -> str:
    """Writes a Parquet file of one row for each input, in place of an earlier run's.

    Returns:
        Its path or URL, in the folder of the results.

    Raises:
        OutputError: it cannot be written.
    """
    fields = [(field.name, str(field.type).split()[0]) for field in dataclasses.fields(Result)]
    schema = pa.schema([(name, _COLUMNS.get(kind, pa.string())) for name, kind in fields])
    rows = [
        {name: _printable(value) for name, value in dataclasses.asdict(result).items()}
        for result in results
    ]
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    place = storage.join(folder, MANIFEST_NAME)
    storage.write(place, buffer.getvalue().to_pybytes())
    return place


def _printable(value: Any) -> Any:
    """Escapes what a file name on Linux may hold and UTF-8 may not."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


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
                    f"Ray does not start on this machine: {storage.reason(error)}"
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
            f"no Ray cluster answers at {address}: {storage.reason(error)}; `ray start --head` "
            "starts one, and a token must be the same on all machines"
        ) from error


def _prepare(*, alone: bool) -> None:
    """Keeps Ray from telling its makers, and whoever reads our lines, what it does.

    Alone on this machine, it listens on the loopback address, as by itself on macOS and Windows.
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
