"""Encoded frames: as many as there were, in their order, in colours that the file states."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from clip_files import frame_times, write_clip, write_hlg_clip

from impasto.video import pieces
from impasto.video.clips import BT709, Clip
from impasto.video.encoding import CODECS, Encoding, PieceWriter
from impasto.video.frames import Frame
from impasto.video.rendering import VideoSettings, render


def greys(count):
    return [np.full((48, 64, 3), 40 + 50 * number, np.uint8) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("codec", CODECS)
def test_short_pieces(tmp_path, codec, count):
    path = tmp_path / f"a.{CODECS[codec].piece}"
    encoding = Encoding(codec, None, 64, 48, 8, Fraction(1, 12_800), Fraction(25))
    # x265 failed at random, in one or two of five.
    for _ in range(12 if codec == "hevc" else 1):
        writer = PieceWriter(path, encoding, 512)
        for number, rgb in enumerate(greys(count)):
            writer.write(Frame(rgb, 512 * (number + 1), 512, Fraction(number, 25)))
        writer.finish()
        assert frame_times(path) == [Fraction(number, 25) for number in range(count)]
        frames = list(Clip(path).frames())
        for frame, rgb in zip(frames, greys(count), strict=True):
            assert np.abs(frame.rgb.astype(int) - rgb).mean() < 4


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9])
def test_hevc_whose_last_piece_is_short(tmp_path, negative, monkeypatch, count):
    monkeypatch.setattr(pieces, "PIECE_FRAMES", 4)
    originals = [np.full((48, 64, 3), 40 + 20 * number, np.uint8) for number in range(count)]
    path = write_clip(tmp_path / "a.mp4", originals, options={"crf": "1"})
    for number in range(4):
        result = tmp_path / f"{number}.mp4"
        render(path, result, negative, VideoSettings(codec="hevc"))
        assert frame_times(result) == frame_times(path)
        levels = [frame.rgb.mean() for frame in Clip(result).frames()]
        assert levels == pytest.approx([255 - rgb.mean() for rgb in originals], abs=3)
        with av.open(str(result)) as clip:
            times = [(p.pts, p.dts) for p in clip.demux(video=0) if p.size]
        assert all(pts >= dts for pts, dts in times)
        assert all(a[1] < b[1] for a, b in itertools.pairwise(times))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_hlg_becomes_bt709(tmp_path, negative, suffix):
    path = write_hlg_clip(tmp_path / "a.mp4", 4)
    result = tmp_path / f"b{suffix}"
    render(path, result, negative, VideoSettings())
    colour = Clip(result).colour
    assert (colour.matrix, colour.primaries, colour.transfer) == (BT709,) * 3
    assert not colour.is_hdr
    with av.open(str(result)) as clip:
        bits = {component.bits for component in next(clip.decode(video=0)).format.components}
    assert bits == {8 if suffix == ".webm" else 10}
    # White paper is 230 in BT.709, and the painting is its negative.
    assert [frame.rgb.mean() for frame in Clip(result).frames()] == pytest.approx([25] * 4, abs=3)
