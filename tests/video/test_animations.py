"""Animated pictures: durations, loop count and transparency survive."""

from fractions import Fraction

import numpy as np
import pytest
from clip_files import pictures
from PIL import Image

from impasto.errors import VideoError
from impasto.video.animations import Animation, write_animation
from impasto.video.frames import Frame

DURATIONS = [50, 120, 200]


def write(path, *, loop=3, alpha=False):
    images = [Image.fromarray(rgb) for rgb in pictures(3, 24, 32)]
    if alpha:
        cover = Image.fromarray(np.where(np.indices((24, 32))[1] < 16, 255, 0).astype(np.uint8))
        for image in images:
            image.putalpha(cover)
    settings = {"lossless": True} if path.suffix == ".webp" else {}
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=DURATIONS,
        loop=loop,
        disposal=2 if path.suffix == ".gif" else 0,
        **settings,
    )
    return path


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("alpha", [False, True])
def test_read_and_written_again(tmp_path, suffix, alpha):
    source = Animation(write(tmp_path / f"a{suffix}", alpha=alpha))
    assert (source.width, source.height, source.frame_count) == (32, 24, 3)
    assert source.frame_rate == Fraction(3, Fraction(370, 1000))
    frames = list(source.frames())
    assert [frame.duration for frame in frames] == DURATIONS
    assert [frame.pts for frame in frames] == [0, 50, 170]
    assert [frame.pts for frame in source.frames(Fraction(170, 1000))] == [170]
    target = tmp_path / f"b{suffix}"
    write_animation(target, iter(frames), time_base=source.time_base, loop=source.loop)
    again = Animation(target)
    assert again.loop == source.loop == 3
    for before, now in zip(frames, again.frames(), strict=True):
        assert now.duration == before.duration
        shown = slice(None, 16) if alpha else slice(None)
        assert np.abs(now.rgb[:, shown].astype(int) - before.rgb[:, shown]).mean() < 12
        if alpha:
            assert now.alpha[0, 0] == 255 and now.alpha[0, -1] == 0


def test_a_gif_that_plays_once_does_so_again(tmp_path):
    source = Animation(write(tmp_path / "a.gif", loop=None))
    assert source.loop is None
    write_animation(tmp_path / "b.gif", source.frames(), time_base=source.time_base, loop=None)
    assert Animation(tmp_path / "b.gif").loop is None


def test_times_of_a_clip_become_milliseconds_that_do_not_drift(tmp_path):
    source = Animation(write(tmp_path / "a.webp"))
    frames = list(source.frames())
    for number, frame in enumerate(frames):
        frame.pts, frame.duration = number, 1
    write_animation(tmp_path / "b.webp", iter(frames), time_base=Fraction(1001, 30_000), loop=0)
    assert [frame.duration for frame in Animation(tmp_path / "b.webp").frames()] == [33, 34, 33]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("rate", [Fraction(24_000, 1001), 30, 50, 60, 120])
def test_animations_play_as_fast_as_their_clip(tmp_path, suffix, rate):
    count = 24
    frames = [Frame(rgb, n, 1, n / Fraction(rate)) for n, rgb in enumerate(pictures(count, 24, 96))]
    path = tmp_path / f"a{suffix}"
    left_out = write_animation(path, iter(frames), time_base=1 / Fraction(rate), loop=0)
    played = list(Animation(path).frames())
    stated = [frame.duration for frame in played]
    # What viewers show for another time than is stated is not there.
    assert min(stated) >= (20 if suffix == ".gif" else 11)
    step_ms = 10 if suffix == ".gif" else 1
    assert all(duration % step_ms == 0 for duration in stated)
    assert sum(stated) == pytest.approx(1000 * count / rate, abs=2 * step_ms)
    begin_ms = 0
    for frame in played:
        number = round(begin_ms * rate / 1000)
        errors = [np.abs(frame.rgb.astype(int) - picture.rgb).mean() for picture in frames]
        assert abs(int(np.argmin(errors)) - number) <= 1  # the clip's frame of that time
        begin_ms += frame.duration
    assert left_out == count - len(stated)
    assert (left_out == 0) == (rate <= 50 or (suffix != ".gif" and rate < 90))


def test_a_still_picture_has_one_frame(tmp_path):
    Image.new("RGB", (8, 6), "red").save(tmp_path / "a.png")
    source = Animation(tmp_path / "a.png", max_side_px=4)
    assert (source.frame_count, source.width, source.height) == (1, 4, 3)


def test_damage(tmp_path):
    path = write(tmp_path / "a.gif")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    source = Animation(path)
    assert source.frame_count < 3
    list(source.frames())
    assert source.damaged == 1
    path.write_bytes(b"GIF89a")
    with pytest.raises(VideoError, match="is no animated picture, or a damaged one"):
        Animation(path)
    with pytest.raises(VideoError, match="no such file"):
        Animation(tmp_path / "none.gif")
