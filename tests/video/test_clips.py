"""Reading clips: upright, in the right colours, at their times, whatever is damaged."""

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from av.rational import AVRational
from clip_files import damage, pictures, write_clip, write_hlg_clip

from impasto.errors import VideoError
from impasto.video.clips import FULL, LIMITED, Clip, exact


def test_frames_come_at_their_times_in_their_colours(tmp_path):
    times = [0, 7, 8, 20, 40]
    path = write_clip(
        tmp_path / "a.mp4", pictures(5), pts=times, time_base=Fraction(1, 600), options={"crf": "1"}
    )
    clip = Clip(path)
    assert (clip.width, clip.height, clip.frame_count, clip.bits, clip.turns) == (64, 48, 5, 8, 0)
    frames = list(clip.frames())
    assert [frame.pts * clip.time_base for frame in frames] == [Fraction(t, 600) for t in times]
    assert [frame.time_s for frame in frames] == [Fraction(t, 600) for t in times]
    for frame, picture in zip(frames, pictures(5), strict=True):
        assert np.abs(frame.rgb.astype(int) - picture).mean() < 4
    assert [f.pts for f in clip.frames(Fraction(8, 600))] == [f.pts for f in frames[2:]]
    assert clip.damaged == 0


def test_times_and_shapes_are_fractions(tmp_path):
    settings = {"sample_aspect_ratio": Fraction(64, 45)}
    path = write_clip(
        tmp_path / "a.mp4",
        pictures(4),
        rate=Fraction(30_000, 1001),
        time_base=Fraction(1001, 30_000),
        stream_settings=settings,
    )
    clip = Clip(path)
    facts = [clip.frame_rate, clip.pixel_shape, clip.stated_s, 1 / clip.time_base % 30_000]
    assert facts == [Fraction(30_000, 1001), Fraction(64, 45), Fraction(4 * 1001, 30_000), 0]
    assert [type(fact) for fact in facts] == [Fraction] * 4
    assert Clip(write_clip(tmp_path / "b.mp4", pictures(1))).pixel_shape is None


@pytest.mark.parametrize(
    ("rational", "fraction"),
    [
        (AVRational(30_000, 1001), Fraction(30_000, 1001)),
        (Fraction(1, 90_000), Fraction(1, 90_000)),
        (AVRational(0, 1), 0),
        (AVRational(1, 0), 0),
        (None, 0),
    ],
)
def test_rationals_of_each_pyav_become_fractions(rational, fraction):
    made = exact(rational)
    assert (made, type(made)) == (fraction, Fraction)


@pytest.mark.parametrize(("rotation", "turns"), [(-90, 1), (180, 2), (90, 3)])
def test_frames_are_upright(tmp_path, rotation, turns):
    (picture,) = pictures(1)
    # What a phone that is held upright writes: the picture, lying on its side.
    lying = np.ascontiguousarray(np.rot90(picture, turns))
    path = write_clip(tmp_path / "a.mp4", [lying], rotation=rotation, options={"crf": "1"})
    clip = Clip(path)
    assert (clip.width, clip.height) == (64, 48)
    (frame,) = clip.frames()
    assert np.abs(frame.rgb.astype(int) - picture).mean() < 4


@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
@pytest.mark.parametrize(("matrix", "luma"), [(1, (0.2126, 0.0722)), (6, (0.299, 0.114))])
def test_levels_mean_what_the_file_says(tmp_path, colour_range, matrix, luma):
    """Y'CbCr by the definition, against what is read."""
    rgb = np.array([200.0, 90.0, 40.0])
    red, blue = luma
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)
    if colour_range == LIMITED:
        y, cb, cr = 16 + y * 219 / 255, cb * 224 / 255, cr * 224 / 255
    frame = av.VideoFrame(64, 48, "yuv444p")
    for plane, value in zip(frame.planes, (y, 128 + cb, 128 + cr), strict=True):
        plane.update(bytes([round(value)]) * plane.buffer_size)
    settings = {"color_range": colour_range, "colorspace": matrix}
    path = write_clip(
        tmp_path / "a.mkv",
        [frame],
        pixel_format="yuv444p",
        options={"qp": "0"},
        stream_settings=settings,
    )
    clip = Clip(path)
    assert (clip.colour.range, clip.colour.matrix) == (colour_range, matrix)
    (read,) = clip.frames()
    assert read.rgb[20, 20] == pytest.approx(rgb, abs=2)


def test_hlg_is_tone_mapped(tmp_path):
    """The white of paper, 75 % of HLG's signal, in 10 bits: 64 + 0.75 * 876."""
    path = write_hlg_clip(tmp_path / "a.mp4", 1)
    clip = Clip(path)
    assert (clip.bits, clip.colour.is_hdr) == (10, True)
    (read,) = clip.frames()
    assert read.rgb[20, 20].astype(int) == pytest.approx([230] * 3, abs=1)


def test_larger_frames_are_made_smaller_with_even_sides(tmp_path):
    clip = Clip(write_clip(tmp_path / "a.mp4", pictures(1, 48, 64)), max_side_px=33)
    assert (clip.width, clip.height) == (32, 24)
    assert next(clip.frames()).rgb.shape == (24, 32, 3)
    assert Clip(tmp_path / "a.mp4", max_side_px=64).width == 64


def test_damage_in_the_middle_is_skipped_and_counted(tmp_path):
    path = write_clip(
        tmp_path / "a.mp4", pictures(20), options={"g": "5", "bf": "0"}, pixel_format="yuv420p"
    )
    clip = Clip(damage(path, slice(7, 9)))
    frames = list(clip.frames())
    assert clip.damaged >= 2
    assert 15 <= len(frames) <= 20
    assert frames[-1].pts * clip.time_base == Fraction(19, 25)


def test_damage_at_the_end_ends_the_clip(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pictures(20), options={"g": "5", "bf": "0"})
    clip = Clip(damage(path, slice(17, None)))
    assert (len(list(clip.frames())), clip.damaged) == (17, 3)
    with pytest.raises(VideoError, match="holds no frame that can be decoded"):
        Clip(damage(path, slice(None)))


def test_good_frames_after_the_last_damage_are_kept(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pictures(20), options={"g": "5", "bf": "0"})
    clip = Clip(damage(path, slice(14, 15)))
    assert [frame.time_s * 25 for frame in clip.frames()] == [n for n in range(20) if n != 14]
    assert clip.damaged == 1


def test_a_codec_without_a_decoder(tmp_path):
    data = write_clip(tmp_path / "a.mkv", pictures(5)).read_bytes()
    assert b"V_MPEG4/ISO/AVC" in data
    (tmp_path / "a.mkv").write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_XXXXX/ISO/AVC"))
    with pytest.raises(VideoError, match="video of a codec that FFmpeg cannot decode: convert it"):
        Clip(tmp_path / "a.mkv")


def test_a_recording_that_never_began(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        out.start_encoding()
    with pytest.raises(VideoError, match="holds nothing, neither video nor sound: its recording"):
        Clip(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: "),
        (b"", "is empty"),
        (b"not a clip at all", "is no clip that FFmpeg reads, or a damaged or truncated one"),
    ],
)
def test_what_is_no_clip(tmp_path, content, message):
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        Clip(path)


@pytest.mark.skipif(os.name != "posix", reason="has no named pipes")
def test_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoError, match="is a pipe or a device: save the clip as a file"):
        Clip(tmp_path / "pipe.mp4")


def test_truncated_clips(tmp_path):
    whole = write_clip(tmp_path / "a.mp4", pictures(20), options={"g": "5"}).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    with pytest.raises(VideoError, match="truncated"):
        Clip(tmp_path / "half.mp4")
    whole = write_clip(tmp_path / "a.mkv", pictures(20), options={"g": "5"}).read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) * 3 // 5])
    clip = Clip(tmp_path / "half.mkv")
    assert 0 < len(list(clip.frames())) < 20
    assert clip.ended_s < clip.stated_s == Fraction(4, 5)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        out.mux(stream.encode(frame) + stream.encode())
    with pytest.raises(VideoError, match="has no video, only audio"):
        Clip(path)
