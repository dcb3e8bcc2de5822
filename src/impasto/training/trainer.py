"""The training loop: set up, fit, export."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from impasto.data import CropBatches
from impasto.data.crops import PhotoSamples, Rejected, collate
from impasto.data.shards import PhotoStream, ShardSource
from impasto.errors import DataError, DivergedError, OutputError, TrainingError
from impasto.training.checkpoints import has_checkpoint, save_checkpoint, split_state
from impasto.training.finish import export_run
from impasto.training.interrupts import interruptible
from impasto.training.run_config import RunConfig
from impasto.training.schedule import learning_rate_factor, phases
from impasto.training.setup import Run, on_device, set_up, silent

# A picture of one colour has no deviation; a photo has 40 grey levels and more.
COLLAPSED_STD = 1.0 / 255
COLLAPSE_AFTER = 100


@dataclass(frozen=True)
class StepReport:
    """Where a run stands, given to ``on_step`` after every step.

    Attributes:
        step: steps done.
        total_steps: steps the run will have.
        elapsed_s: training time so far, over all resumes.
        remaining_s: estimate of the time left.
        images_per_s: photos per second, all devices together.
        losses: weighted terms, as of the latest logged step.
    """

    step: int
    total_steps: int
    elapsed_s: float
    remaining_s: float
    images_per_s: float
    losses: dict[str, float]


def train(
    config: RunConfig,
    *,
    resume: bool = False,
    on_step: Callable[[StepReport], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> Path:
    """Trains what a config describes and exports its model.

    Ctrl-C once ends the run after the current step, with checkpoint and model.

    Args:
        config: the settings of a style or an upscaler; `make_config` and
            `make_upscaler_config` apply presets.
        resume: go on from the run folder's newest checkpoint.
        on_step: called after every step.
        on_note: called with plain sentences for people.

    Returns:
        The path of the ONNX model in the run folder.

    Raises:
        UsageError: the run folder already holds a run, or another training is writing into it.
        ResumeError: there is nothing to resume, or the settings differ from the run's.
        DataError, ImageError: photos or painting cannot be used.
        DivergedError: the loss is not finite or the output has collapsed; the last good
            checkpoint stays.
        OutputError: the run folder cannot be written, or the disk is full.
        ExportError: the exported graph differs from the network.
        TrainingError: another process of the run has ended.
    """
    with _lost_process_reported(), ExitStack() as until_end:
        run = set_up(config, resume=resume, on_note=on_note or silent, until_end=until_end)
        with _full_disk_reported(config):
            try:
                _fit(run, on_step if on_step and run.fabric.is_global_zero else silent)
            finally:
                if run.writer:
                    run.writer.close()
    if not run.fabric.is_global_zero:
        return config.model_path
    return export_run(config.run_folder)


def _fit(run: Run, on_step: Callable[[StepReport], None]) -> None:
    config, fabric = run.config, run.fabric
    started = time.perf_counter() - run.elapsed_s
    last_step_end = last_preview = last_checkpoint = time.perf_counter()
    rate = math.nan
    losses: dict[str, float] = {}
    with interruptible() as interrupted:
        for batch in _batches(run):
            terms, output, gradient_norm = _step(run, batch)
            now = time.perf_counter()
            run.elapsed_s = now - started
            fresh = run.images_per_step / (now - last_step_end)
            rate = fresh if math.isnan(rate) else 0.9 * rate + 0.1 * fresh
            over = config.max_time_s is not None and now - run.started >= config.max_time_s
            ending = over or interrupted.is_set() or run.step >= run.last_step
            preview = ending or run.step == 1 or now - last_preview >= config.preview_every_s
            checkpoint = ending or now - last_checkpoint >= config.checkpoint_every_s
            # Every process must leave the loop, and join in the means, at the same step.
            ending, preview, checkpoint = fabric.broadcast((ending, preview, checkpoint))
            if preview or checkpoint or run.step % config.log_every == 0:
                means = torch.stack([value.detach().float() for value in terms.values()])
                losses = dict(zip(terms, _reduced(run, means, "mean").tolist(), strict=True))
                _check_health(run, losses, output)
                _log(run, losses, output, gradient_norm, rate)
            if preview and fabric.is_global_zero:
                _preview(run)
                last_preview = time.perf_counter()
            if checkpoint and fabric.is_global_zero:
                save_run(run)
                last_checkpoint = time.perf_counter()
            left = (run.last_step - run.step) * run.elapsed_s / run.step
            on_step(StepReport(run.step, run.last_step, run.elapsed_s, left, rate, losses))
            if ending:
                break
            last_step_end = time.perf_counter()
    if run.step < run.last_step:
        why = "stopped" if interrupted.is_set() else "the time is over"
        run.on_note(f"{why} at step {run.step} of {run.last_step}; `--resume` goes on from here")


def _batches(run: Run) -> Iterator[Any]:
    """Loads the batches from the run's step to its last one, naming unusable photos once."""
    rejected: set[str] = set()
    batch: Any
    passed_over: list[Rejected]
    parts = phases(run.config.shares, run.schedule_steps)
    for samples, (first, end) in zip(run.task.samples, parts, strict=True):
        first_step, last_step = max(first, run.step), int(min(end, run.last_step))
        if first_step >= last_step:  # starting workers for it would take seconds
            continue
        loader = _loader(run, samples, first_step, last_step)
        try:
            for batch, passed_over in islice(loader, last_step - first_step):
                for photo in passed_over:
                    if photo.name not in rejected:
                        rejected.add(photo.name)
                        run.on_note(f"photo {len(rejected)} left out: {photo.name}: {photo.reason}")
                yield on_device(batch, run.fabric.device)
        except DataError as error:
            # A loading process puts its traceback before the message.
            raise DataError(str(error).rpartition("DataError: ")[2].strip()) from error


def _loader(
    run: Run, samples: PhotoSamples[Any], first_step: int, last_step: int
) -> DataLoader[Any]:
    """Loads this process's batches, each with the photos that were passed over."""
    config, fabric = run.config, run.fabric
    workers = config.workers
    if workers is None:
        # On a CPU the cores that would decode ahead are busy with training.
        workers = 0 if fabric.device.type == "cpu" else min(8, torch.get_num_threads())
    place: dict[str, int] = {"rank": fabric.global_rank, "world_size": fabric.world_size}
    given: dict[str, Any]
    if isinstance(samples.source, ShardSource):
        shards = samples.source.shards
        workers = min(workers, len(shards) // fabric.world_size)  # no photo comes twice a pass
        given = {
            "dataset": PhotoStream(samples, shards, first_step=first_step, **place),
            "batch_size": run.batch_size,
        }
    else:
        batches = CropBatches(run.batch_size, first_step, last_step, **place)
        given = {"dataset": samples, "batch_sampler": batches}
    return DataLoader(
        **given,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=fabric.device.type == "cuda",
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_leave_interrupts,
        generator=torch.Generator(),  # the loader would draw from the state that is saved
    )


def _leave_interrupts(_worker: int) -> None:
    """Leaves Ctrl-C, which reaches every process of a terminal, to the training process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _step(run: Run, batch: Any) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Does one optimisation step; returns weighted terms, output and gradient norm."""
    number = run.step * run.fabric.world_size + run.fabric.global_rank
    factor = learning_rate_factor(run.step, run.config.schedule, run.schedule_steps)
    for group in run.optimizer.param_groups:
        group["lr"] = run.config.learning_rate * factor * group["rate"]
    with run.fabric.autocast():
        terms, output = run.task.step(run.network, batch, number * run.batch_size)
    run.optimizer.zero_grad()
    run.fabric.backward(terms["total"])
    gradients = [p.grad for p in run.network.parameters() if p.grad is not None]
    gradient_norm = torch.nn.utils.get_total_norm(gradients)
    if run.config.clip_gradients is not None:
        torch.nn.utils.clip_grads_with_norm_(
            run.network.parameters(), run.config.clip_gradients, gradient_norm
        )
    run.optimizer.step()
    run.step += 1
    _average(run)
    return terms, output.detach(), gradient_norm


@torch.no_grad()
def _average(run: Run) -> None:
    """Moves the averaged weights towards the network's, faster while there are few steps."""
    decay = min(run.config.averaging, (1 + run.step) / (10 + run.step))
    source = run.network.state_dict()
    for name, value in run.averaged.state_dict().items():
        if value.is_floating_point():
            value.lerp_(source[name], 1 - decay)
        else:
            value.copy_(source[name])


def _reduced(run: Run, values: Tensor, how: str) -> Tensor:
    """Returns mean or max over the processes, which all must ask; changes the values in place."""
    return cast("Tensor", run.fabric.all_reduce(values, reduce_op=how))


def _check_health(run: Run, losses: dict[str, float], output: Tensor) -> None:
    folder = run.config.run_folder
    good = f"the last checkpoint in {folder} is good"
    kept = good if has_checkpoint(folder) else "there is no checkpoint yet"
    weights = run.network.parameters()
    if not all(map(math.isfinite, losses.values())) or not all(w.isfinite().all() for w in weights):
        raise DivergedError(
            f"the loss is not finite at step {run.step}: try a lower --learning-rate; {kept}"
        )
    deviation = _reduced(run, output.float().std(dim=(-2, -1)).max(), "max").item()
    if run.step >= COLLAPSE_AFTER and deviation < COLLAPSED_STD:
        raise DivergedError(
            f"the output has collapsed to one colour at step {run.step}: "
            f"try a lower {run.task.remedies}; {kept}"
        )


def _log(
    run: Run, losses: dict[str, float], output: Tensor, gradient_norm: Tensor, rate: float
) -> None:
    if run.writer is None:
        return
    values = {f"loss/{name}": value for name, value in losses.items()}
    values |= {
        "learning_rate": run.optimizer.param_groups[0]["lr"],
        "images_per_second": rate,
        "gradient_norm": gradient_norm.item(),
        "output/minimum": output.min().item(),
        "output/mean": output.float().mean().item(),
        "output/maximum": output.max().item(),
    }
    for name, value in values.items():
        run.writer.add_scalar(name, value, run.step)


def _preview(run: Run) -> None:
    run.averaged.eval()
    with run.fabric.autocast():
        losses, results = run.task.validate(run.averaged)
    run.task.write_preview(results, run.config.run_folder / "preview.jpg")
    history = run.task.add_to_history(results)
    if run.writer:
        for name, value in losses.items():
            run.writer.add_scalar(f"validation/{name}", value, run.step)
        run.writer.add_image("validation", history, run.step, dataformats="HWC")
        run.writer.flush()


def save_run(run: Run) -> Path:
    """Writes a checkpoint of everything that resuming needs."""
    optimizer_tensors, optimizer_values = split_state(run.optimizer)
    return save_checkpoint(
        run.config.run_folder,
        run.step,
        {
            "network": run.network.module.state_dict(),
            "averaged": run.averaged.state_dict(),
            "optimizer": optimizer_tensors,
            "random": {"torch": torch.get_rng_state()},
        },
        {
            "config": run.config.to_dict(),
            **run.task.saved(),
            "optimizer": optimizer_values,
            "step": run.step,
            "schedule_steps": run.schedule_steps,
            "last_step": run.last_step,
            "elapsed_s": run.elapsed_s,
            "images_per_step": run.images_per_step,
        },
    )


@contextmanager
def _lost_process_reported() -> Iterator[None]:
    """Turns what is raised when another process has ended into one line."""
    try:
        yield
    except RuntimeError as error:
        # Gloo has no error of its own for it.
        if isinstance(error, torch.distributed.DistError) or " by peer" in str(error):
            raise TrainingError(
                "another process of the run has ended, see what it said; `--resume` goes on"
            ) from error
        raise


@contextmanager
def _full_disk_reported(config: RunConfig) -> Iterator[None]:
    """Turns what TensorBoard's writer raises into one line.

    Its thread would print a traceback before the loop is told of the same error.
    """
    previous = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if not issubclass(failure.exc_type, OSError):
            previous(failure)

    threading.excepthook = hook
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write into {config.run_folder}: {error}") from error
    finally:
        threading.excepthook = previous
