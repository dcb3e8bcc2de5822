"""Batches on a Ray of two cores, with workers that die."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import plain_changes
import pytest
import ray
from PIL import Image

from impasto.cluster.running import ray_started, run_on_ray
from impasto.cluster.worker import Job
from impasto.dials import Writing
from impasto.errors import ClusterError, ModelError
from impasto.images.reading import Photo
from impasto.work import Work

# Functions inside functions travel to the workers whole: those could not import this file.
ray.cloudpickle.register_pickle_by_value(plain_changes)


def slow_negative(folder, workers):
    """Takes its time, and begins when that many workers have begun."""
    folder.mkdir()

    def make_work():
        (folder / str(os.getpid())).touch()

        def change(photo):
            while len(list(folder.iterdir())) < workers:
                time.sleep(0.1)
            time.sleep(1)  # much longer than between two pictures, when a kill interrupts none
            return Photo(255 - photo.rgb)

        return Work(plain_changes.Plain(change), Writing())

    return make_work


def stuck_on(host, folder):
    """Ends no picture on one machine; the others begin when that one has begun."""
    folder.mkdir()

    def make_work():
        import ray

        here = ray.util.get_node_ip_address()

        def change(photo):
            if here == host:
                (folder / "begun").touch()
                time.sleep(3600)
            while not (folder / "begun").exists():
                time.sleep(0.1)
            return photo

        return Work(plain_changes.Plain(change), Writing())

    return make_work


def deadly(level, log):
    """Dies of one picture; what is begun is logged by its level."""

    def make_work():
        def change(photo):
            with log.open("a") as file:
                print(photo.rgb[0, 0, 0], file=file)
            if photo.rgb[0, 0, 0] == level:
                os.kill(os.getpid(), signal.SIGKILL)
            return photo

        return Work(plain_changes.Plain(change), Writing())

    return make_work


def bytes_stored():
    """How many bytes have ever been put into the cluster's object store."""
    from ray._private import internal_api

    address = ray.get_runtime_context().gcs_address
    reply = internal_api.get_memory_info_reply(internal_api.get_state_from_address(address))
    return reply.store_stats.cumulative_created_bytes


def leaving_them():
    return lambda: Work(plain_changes.Plain(lambda photo: photo), Writing())


def unusable():
    def make_work():
        raise ModelError("the model is of another version")

    return make_work


@pytest.fixture
def jobs(tmp_path, make_photos):
    """Makes jobs for some pictures, and tells their colours by job."""

    def make(count):
        names = [f"{number:02}.png" for number in range(count)]
        colors = make_photos(tmp_path / "photos", *names)
        return {
            Job(str(tmp_path / "photos" / name), str(tmp_path / "out" / name), 9): colors[name]
            for name in names
        }

    return make


def test_two_workers_share_a_cluster_of_two_cores(cluster, jobs, colors_of, tmp_path):
    asked = jobs(8)
    with ray_started(cluster, None) as actors:
        assert actors == 2
        work = slow_negative(tmp_path / "begun", 2)
        results = list(run_on_ray(list(asked), work, actors))
    assert {result.path for result in results} == {job.path for job in asked}
    assert {(result.status, result.attempts) for result in results} == {("done", 1)}
    assert len({result.worker for result in results}) == 2
    expected = {Path(job.path).name: tuple(255 - c for c in asked[job]) for job in asked}
    assert colors_of(tmp_path / "out") == expected


def test_another_worker_does_the_pictures_of_a_dead_one(cluster, jobs, colors_of, tmp_path, capfd):
    asked = jobs(12)
    results = []
    with ray_started(cluster, 2) as actors:
        work = slow_negative(tmp_path / "begun", 2)
        for result in run_on_ray(list(asked), work, actors):
            results.append(result)
            if len(results) == 4:  # both are warm, and one of them is at work on another
                os.kill(int(result.worker.rpartition(":")[2]), signal.SIGKILL)
    assert capfd.readouterr().out == ""
    assert sorted(result.path for result in results) == sorted(job.path for job in asked)
    assert {result.status for result in results} == {"done"}
    assert max(result.attempts for result in results) == 2
    assert len({result.worker for result in results}) == 3
    assert len(colors_of(tmp_path / "out")) == 12
    for job, color in asked.items():
        done = np.asarray(Image.open(job.output))
        np.testing.assert_array_equal(done, np.full((16, 24, 3), color) ^ 255)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
def test_the_others_do_the_pictures_of_a_lost_machine(cluster, second_machine, jobs, tmp_path):
    asked = jobs(24)
    results = []
    with ray_started(cluster, None) as actors:
        assert actors == 3
        work = stuck_on(second_machine.host, tmp_path / "shared")
        for result in run_on_ray(list(asked), work, actors):
            results.append(result)
            second_machine.kill()
    assert sorted(result.path for result in results) == sorted(job.path for job in asked)
    assert {result.status for result in results} == {"done"}
    assert max(result.attempts for result in results) == 2


@pytest.mark.parametrize(("most_blocks", "which"), [(10_000, 1), (1, 2)])
def test_a_picture_that_ends_every_worker_fails_alone(
    cluster, jobs, tmp_path, monkeypatch, most_blocks, which
):
    """Also where it shares a block with others, which begins anew with each worker."""
    monkeypatch.setitem(run_on_ray.__globals__, "_MOST_BLOCKS", most_blocks)
    asked = jobs(4)
    bad = list(asked)[which]
    log = tmp_path / "begun.txt"
    with ray_started(cluster, 1) as actors:
        work = deadly(asked[bad][0], log)
        results = {result.path: result for result in run_on_ray(list(asked), work, actors)}
    assert set(results) == {job.path for job in asked}
    failed = results.pop(bad.path)
    assert (failed.status, failed.attempts) == ("failed", 3)
    assert "3 workers died of it" in failed.error
    assert {(result.status, result.attempts) for result in results.values()} == {("done", 1)}
    assert {(result.width, result.height) for result in results.values()} == {(24, 16)}
    levels = sorted(color[0] for color in asked.values())
    levels += [asked[bad][0]] * 2
    assert sorted(map(int, log.read_text().split())) == sorted(levels)


def test_more_workers_than_cores_are_not_waited_for(cluster, jobs):
    asked = jobs(6)
    with ray_started(cluster, 5) as actors:
        results = list(
            run_on_ray(
                list(asked),
                lambda: Work(plain_changes.Plain(lambda photo: photo), Writing()),
                actors,
            )
        )
    assert {result.status for result in results} == {"done"}


def test_no_picture_goes_through_rays_store(cluster, jobs, tmp_path):
    asked = jobs(12)
    rng = np.random.default_rng(0)
    for job in asked:
        Image.fromarray(rng.integers(0, 256, (200, 300, 3), np.uint8)).save(job.path)
    with ray_started(cluster, 2) as actors:
        before = bytes_stored()
        kept = ray.put(bytes(1_000_000))
        assert bytes_stored() - before >= 1_000_000, "this does not see what is stored"
        del kept
        before = bytes_stored()
        list(
            run_on_ray(
                list(asked),
                lambda: Work(plain_changes.Plain(lambda photo: photo), Writing()),
                actors,
            )
        )
        stored = bytes_stored() - before
    pictures = sum(Path(job.path).stat().st_size for job in asked)
    assert pictures > 2_000_000
    assert 0 < stored < pictures / 10


def test_what_no_worker_can_load_ends_the_batch_in_one_line(cluster, jobs):
    with (
        ray_started(cluster, 1) as actors,
        pytest.raises(ClusterError, match=r"^the batch stopped: .*the model is of another version"),
    ):
        list(run_on_ray(list(jobs(1)), unusable(), actors))


def test_no_cluster_answers():
    with (
        pytest.raises(ClusterError, match=r"^no Ray cluster answers at 127.0.0.1:9: .*ray start"),
        ray_started("127.0.0.1:9", None),
    ):
        pass
