"""Setting up a run: everything between the settings and the first step."""

from __future__ import annotations

import atexit
import copy
import gc
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from filelock import FileLock, Timeout
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_fabric.wrappers import _FabricModule
from pytorch_optimizer import SOAP
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from impasto.data import PhotoSource, open_photos
from impasto.data.crops import collate
from impasto.data.examples import example_photos_folder
from impasto.data.shards import ShardSource
from impasto.errors import DataError, OutputError, ResumeError, UsageError
from impasto.networks import Network
from impasto.networks.blocks import is_style_table
from impasto.training.checkpoints import has_checkpoint, load_checkpoint, restore_optimizer
from impasto.training.config import TrainingConfig, UpscalerConfig
from impasto.training.resume import check_same_run, read_config
from impasto.training.run_config import Precision, RunConfig, save_config
from impasto.training.schedule import (
    PLANNED_SHARE,
    bfloat16_is_faster,
    planned_steps,
    seconds_per_step,
)
from impasto.training.style_task import StyleTask
from impasto.training.task import Task
from impasto.training.upscale_task import UpscaleTask

DEFAULT_BUDGET_S = 20 * 60.0

STYLE_TABLE_RATE = 5.0
"""Learning rate of the style tables as a multiple of that of the convolutions."""

LARGEST_FACTOR = 512
"""The longest side of a weight along which SOAP looks for better axes (Vyas et al. 2024)."""


@dataclass
class Run:
    """The whole state of a training run: what is saved, and what it works with.

    Attributes:
        images_per_step: photos of a step, all processes together; resuming with another number
            of processes keeps it.
        started: `time.perf_counter` when this session began; a time limit counts from here.
        step: steps done.
        schedule_steps: length that the learning rate's schedule was planned for.
        last_step: where this session ends; beyond the schedule in an extended run.
        elapsed_s: training time over all sessions.
    """

    config: RunConfig
    fabric: Fabric
    task: Task
    network: _FabricModule
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    on_note: Callable[[str], None]
    images_per_step: int
    started: float
    writer: SummaryWriter | None = None
    step: int = 0
    schedule_steps: int = 0
    last_step: int = 0
    elapsed_s: float = 0.0

    @property
    def batch_size(self) -> int:
        """Photos of a step in this process."""
        return self.images_per_step // self.fabric.world_size


def silent(_: object) -> None:
    """Takes reports that nobody wants."""


def set_up(
    config: RunConfig, *, resume: bool, on_note: Callable[[str], None], until_end: ExitStack
) -> Run:
    """Builds a run, or rebuilds it from the newest checkpoint.

    Arguments and errors are those of `impasto.training.train`; ``until_end`` holds the run
    folder's lock.
    """
    started = time.perf_counter()
    folder = config.run_folder
    if has_checkpoint(folder) and not resume:
        raise UsageError(f"{folder} already holds a run; add --resume, or name another with -o")
    tensors, values = load_checkpoint(folder) if resume else ({}, {})
    if resume:
        check_same_run(config, read_config(folder, values))
    _check_writable(folder)
    devices, nodes = _processes(config)
    config = replace(config, precision=_precision(config, values, alone=devices * nodes == 1))
    if not resume and config.steps is None and config.max_time_s is None:
        config = replace(config, max_time_s=DEFAULT_BUDGET_S)
    fabric = _launch(config, devices, nodes)
    if not fabric.is_global_zero:
        on_note = silent
    images_per_step = _images_per_step(config, fabric.world_size, values)
    examples = example_photos_folder()
    photos = open_photos(config.photos or examples)
    _check_shards(config, photos, fabric.world_size)
    validation = open_photos(config.validation_photos or examples)
    with fabric.autocast():
        task = make_task(config, photos, validation, fabric.device, saved=values)
    if resume:
        task.check_resumed(values)
    network = _network(config, task, fabric.device)
    if not resume:
        task.begin(network)
    averaged = copy.deepcopy(network).requires_grad_(False).to(fabric.device)
    network.to(fabric.device)
    optimizer = _optimizer(network, config, fabric.device)
    wrapped, optimizer = fabric.setup(network, optimizer)
    run = Run(config, fabric, task, wrapped, averaged, optimizer, on_note, images_per_step, started)
    if resume:
        _restore(run, network, tensors, values)
    _plan(run, network)
    if fabric.is_global_zero:
        until_end.enter_context(_other_runs_kept_out(folder))
        save_config(config, task.saved().get("references"), folder / "config.json")
        try:
            run.writer = SummaryWriter(folder / "tensorboard", purge_step=run.step + 1)
        except OSError as error:
            raise OutputError(f"cannot write TensorBoard's curves in {folder}: {error}") from error
    _announce(run)
    return run


def make_task(
    config: RunConfig,
    photos: PhotoSource,
    validation: PhotoSource,
    device: torch.device,
    *,
    saved: dict[str, Any] | None = None,
) -> Task:
    """Makes the task that a config describes.

    Args:
        config: the settings.
        photos: the training photos.
        validation: the validation photos.
        device: where the loss network runs.
        saved: the checkpoint's values of a run that is resumed; its previews are continued.

    Raises:
        DataError, ImageError: photos or paintings cannot be used.
    """
    if isinstance(config, TrainingConfig):
        return StyleTask(config, photos, validation, device, saved=saved)
    if isinstance(config, UpscalerConfig):
        return UpscaleTask(config, photos, validation, device, saved=saved)
    raise TypeError(f"{type(config).__name__} describes no task")


def on_device(batch: Any, device: torch.device) -> Any:
    """Moves a tensor or a list of them, in the layout that convolutions are fastest in."""
    if isinstance(batch, Tensor):
        layout = _layout(device) if batch.ndim == 4 else torch.preserve_format
        return batch.to(device, non_blocking=True, memory_format=layout)
    return tuple(on_device(part, device) for part in batch)


def _layout(device: torch.device) -> torch.memory_format:
    # On a CPU a step of the draft network takes a fifth longer with channels last.
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def _network(config: RunConfig, task: Task, device: torch.device) -> Network:
    """Builds the network with fresh weights, those frozen that are not learned."""
    torch.manual_seed(config.seed)
    network = config.network.build()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(task.learns(name))
        if parameter.ndim == 4:
            # Buffers stay as they are: a lone one with channels last cannot be broadcast to
            # several GPUs.
            parameter.data = parameter.data.contiguous(memory_format=_layout(device))
    return network


def _optimizer(network: Network, config: RunConfig, device: torch.device) -> torch.optim.Optimizer:
    """Makes the optimizer, with a group of convolutions and one of style tables.

    Tables learn faster, and by Adam's rule under SOAP too: a row gets a gradient only where its
    style is painted, and rows are not to be mixed.
    """
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if not is_style_table(name)], "rate": 1.0},
        {"params": [p for name, p in named if is_style_table(name)], "rate": STYLE_TABLE_RATE},
    ]
    groups = [group for group in groups if group["params"]]
    # Metal lacks a part of the linear algebra.
    if config.optimizer == "adam" or device.type == "mps":
        return torch.optim.Adam(groups, lr=config.learning_rate)
    for group in groups:
        if group["rate"] != 1:
            group.update(max_precondition_dim=1, betas=(0.9, 0.999))
    return SOAP(
        groups,
        lr=config.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        max_precondition_dim=LARGEST_FACTOR,
    )


def _announce(run: Run) -> None:
    config, folder = run.config, run.config.run_folder
    if config.photos is None:
        run.on_note(
            "training on the example photos; give a folder of a thousand or more for a better "
            f"{run.task.product}"
        )
    if run.step and isinstance(run.task.samples[0].source, ShardSource):
        run.on_note("the shards are read anew, in another order: a stream has no place to go on at")
    for warning in run.task.warnings:
        run.on_note(f"warning: {warning}")
    run.on_note(f"curves: tensorboard --logdir {shlex.quote(str(folder))}")
    run.on_note(f"preview: {folder / 'preview.jpg'}")


def _check_writable(folder: Path) -> None:
    """Refuses a run folder that cannot be made, before anything is computed."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise OutputError(f"cannot write {folder}: {existing} is not a folder")
    if not os.access(existing, os.W_OK):
        raise OutputError(f"cannot write {folder}: no permission to write into {existing}")


@contextmanager
def _other_runs_kept_out(folder: Path) -> Iterator[None]:
    """Locks a run folder; a process that dies leaves no lock."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0).acquire()
    except Timeout as error:
        raise UsageError(
            f"another training is writing into {folder}: wait for its end, or name another folder "
            "with -o"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error}") from error
    with lock:
        yield


def _processes(config: RunConfig) -> tuple[int, int]:
    """Returns how many processes a run has on a machine, and on how many machines."""
    if not TorchElasticEnvironment.detect():
        return config.devices, 1
    devices = int(os.environ["LOCAL_WORLD_SIZE"])
    if config.devices not in (1, devices):
        raise UsageError(
            f"--devices is {config.devices}, but torchrun has started {devices} processes here: "
            "leave it out"
        )
    return devices, int(os.environ["WORLD_SIZE"]) // devices


def _launch(config: RunConfig, devices: int, nodes: int) -> Fabric:
    """Starts the processes of a run, or joins those that torchrun has started."""
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        fabric = Fabric(
            accelerator=config.device,
            devices=devices,
            num_nodes=nodes,
            precision=cast("Any", config.precision),
            # A step trains the draft network or the refine network.
            strategy="ddp_find_unused_parameters_true" if devices * nodes > 1 else "auto",
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise UsageError(
            f"--device {config.device} with --devices {devices} cannot be used here: {error}"
        ) from error
    fabric.launch()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """Ends the threads of the process group, which Fabric leaves running with some backends.

    One that still runs when the interpreter shuts down ends the process by SIGABRT. They are
    joined once nothing refers to the group, and the wrapped network does, in a cycle.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        gc.collect()


def _images_per_step(config: RunConfig, world_size: int, values: dict[str, Any]) -> int:
    """Returns the photos of a step, all processes together."""
    if not values:
        return config.batch_size * world_size
    images = int(values["images_per_step"])
    if images % world_size:
        raise ResumeError(
            f"the run in {config.run_folder} has {images} photos per step, which {world_size} "
            "processes cannot share evenly: take another number of them"
        )
    return images


def _check_shards(config: RunConfig, photos: PhotoSource, world_size: int) -> None:
    """Refuses more processes than shards: two would read the same photos."""
    if isinstance(photos, ShardSource) and len(photos.shards) < world_size:
        raise DataError(
            f"{config.photos} has {len(photos.shards)} shards for {world_size} processes; "
            "each needs one or more of its own"
        )


def _restore(
    run: Run, network: nn.Module, tensors: dict[str, dict[str, Tensor]], values: dict[str, Any]
) -> None:
    """Puts a run into the state of its checkpoint."""
    try:
        network.load_state_dict(tensors["network"])
        run.averaged.load_state_dict(tensors["averaged"])
        restore_optimizer(run.optimizer, tensors["optimizer"], values["optimizer"])
        torch.set_rng_state(tensors["random"]["torch"])
        run.step, run.elapsed_s = int(values["step"]), float(values["elapsed_s"])
        run.schedule_steps, run.last_step = int(values["schedule_steps"]), int(values["last_step"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ResumeError(
            f"the checkpoint in {run.config.run_folder} is incomplete or belongs to another "
            "network than its settings describe; start a new run with -o"
        ) from error


def _precision(config: RunConfig, values: dict[str, Any], *, alone: bool) -> Precision:
    """Decides ``precision="auto"``, once per run."""
    if config.precision != "auto":
        return config.precision
    if values:
        return cast("Precision", values["config"]["precision"])
    if not alone:  # each process would time it for itself, with a result of its own
        on_cuda = config.device in ("auto", "cuda") and torch.cuda.is_available()
        in_hardware = on_cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if in_hardware else "32-true"
    on_cpu = config.device == "cpu" or not torch.accelerator.is_available()
    device = torch.device("cpu") if on_cpu else torch.accelerator.current_accelerator()
    faster = device is not None and device.type != "mps" and bfloat16_is_faster(device)
    return "bf16-mixed" if faster else "32-true"


def _plan(run: Run, network: nn.Module) -> None:
    """Fixes the run's length, once: a schedule that has begun never changes."""
    config = run.config
    resumed = run.schedule_steps > 0
    if resumed and config.steps is not None and config.steps < run.schedule_steps:
        raise ResumeError(
            f"--steps is {config.steps}, the run in {config.run_folder} is planned for "
            f"{run.schedule_steps}; give more to extend it"
        )
    if resumed and run.step < run.last_step:
        step_s = PLANNED_SHARE * run.elapsed_s / run.step
    else:
        step_s = _time_step(run, network)
    if config.steps is not None:
        run.last_step = max(run.last_step, config.steps)
    elif not resumed or (config.max_time_s is not None and run.step >= run.last_step):
        budget_s = (config.max_time_s or DEFAULT_BUDGET_S) - (time.perf_counter() - run.started)
        run.last_step = run.step + planned_steps(budget_s, step_s)
    if not resumed:
        run.schedule_steps = run.last_step
    # Processes time their steps differently; they must agree on the length and the schedule.
    plan = run.last_step, run.schedule_steps
    run.last_step, run.schedule_steps = run.fabric.broadcast(plan)
    left = max(0, run.last_step - run.step)
    run.on_note(
        f"about {duration(left * step_s / PLANNED_SHARE)}: {left} steps of "
        f"{run.images_per_step} photos, {step_s:.2f} s each on {run.fabric.device}"
    )


def duration(seconds: float) -> str:
    """Says a time in the unit that people would use."""
    for limit, size, unit in ((120, 1, "seconds"), (7200, 60, "minutes"), (172_800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.1f} days"


def _time_step(run: Run, network: nn.Module) -> float:
    """Times a step of each part of the run and returns their mean by shares, in seconds."""
    step_s = 0.0
    for samples, share in zip(run.task.samples, run.config.shares, strict=True):
        batch = collate([samples[number] for number in range(run.batch_size)])[0]
        loss = partial(_loss, run.task, on_device(batch, run.fabric.device))
        with run.fabric.autocast():
            step_s += share * seconds_per_step(network, loss, run.fabric.device)
    return step_s


def _loss(task: Task, batch: Any, network: nn.Module) -> Tensor:
    return task.step(network, batch, 0)[0]["total"]
