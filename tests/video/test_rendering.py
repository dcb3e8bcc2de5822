"""Whole runs: what comes with a clip, going on after a stop, and what cannot be."""

import dataclasses
import io
from fractions import Fraction

import av
import numpy as np
import pytest
from clip_files import frame_times, packets, pictures, write_clip
from PIL import ExifTags, Image

from impasto.dials import Enlarging, Painting
from impasto.errors import OutputError, UsageError, VideoError
from impasto.runtime.changes import Enlarger
from impasto.runtime.stylizer import StyleModel
from impasto.runtime.upscaler import UpscaleModel
from impasto.video.changes import FrameEnlarger, FramePainter, Timeline, parse_numbers
from impasto.video.clips import FULL, Clip
from impasto.video.encoding import CODECS, choose_codec
from impasto.video.joining import CONTAINERS, Extract
from impasto.video.rendering import VideoSettings, render
from impasto.video.steadiness import MODES

LOSSLESS = VideoSettings(crf=1)


def check_negatives(result, originals, tolerance=5):
    frames = [frame.rgb.astype(int) for frame in Clip(result).frames()]
    assert len(frames) == len(originals)
    for frame, picture in zip(frames, originals, strict=True):
        assert np.abs(255 - frame - picture).mean() < tolerance


def test_sound_chapters_title_and_times_are_kept(tmp_path, negative):
    times = [0, 500, 1100, 1300, 2000, 2900, 3001, 4000]
    path = write_clip(
        tmp_path / "a.mp4",
        pictures(8),
        pts=times,
        time_base=Fraction(1, 5000),
        sound="aac",
        chapters=[(0, 300), (300, 800)],
    )
    result = tmp_path / "b.mp4"
    outcome = render(path, result, negative, LOSSLESS)
    assert (outcome.frames, outcome.resumed, outcome.damaged, outcome.notes) == (8, 0, 0, [])
    assert frame_times(result) == [Fraction(time, 5000) for time in times] == frame_times(path)
    assert packets(result, "audio") == packets(path, "audio") != []
    with av.open(str(path)) as before, av.open(str(result)) as now:
        assert now.metadata["title"] == "A clip"
        titles = [[c["metadata"]["title"] for c in clip.chapters()] for clip in (before, now)]
        assert titles[0] == titles[1] == ["Part 0", "Part 1"]
        assert now.streams.video[0].duration * now.streams.video[0].time_base == (
            before.streams.video[0].duration * before.streams.video[0].time_base
        )
    check_negatives(result, list(pictures(8)))
    assert not list(tmp_path.glob("*.parts")) and not list(tmp_path.glob(".impasto*"))


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [(".mkv", "h264", "flac"), (".webm", "vp9", "libopus"), (".mov", "h264", "pcm_s16le")],
)
def test_containers(tmp_path, negative, suffix, codec, sound):
    encoder = CODECS[codec].encoder
    path = write_clip(tmp_path / f"a{suffix}", pictures(6), codec=encoder, sound=sound)
    result = tmp_path / f"b{suffix}"
    render(path, result, negative, LOSSLESS)
    assert packets(result, "audio") == packets(path, "audio") != []
    assert frame_times(result) == frame_times(path)
    with av.open(str(result)) as clip:
        assert clip.streams.video[0].codec_context.codec.canonical_name == codec
        assert clip.streams.video[0].average_rate == 25


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_rotation_and_colour_range_are_kept(tmp_path, negative, suffix):
    (picture,) = pictures(1)
    path = write_clip(
        tmp_path / "a.mp4",
        [np.ascontiguousarray(np.rot90(picture, 1))] * 3,
        rotation=-90,
        pixel_format="yuvj420p",
        stream_settings={"color_range": FULL},
    )
    result = tmp_path / f"b{suffix}"
    outcome = render(path, result, negative, LOSSLESS)
    before, now = Clip(path), Clip(result)
    assert (outcome.width, outcome.height) == (64, 48)
    assert now.matrix == before.matrix is not None
    assert now.colour == before.colour
    check_negatives(result, [picture] * 3)


def test_frames_with_exif_of_a_camera_are_turned_as_it_says(tmp_path, negative):
    (picture,) = pictures(1)
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "A camera", 6
    jpeg = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(picture))).save(
        jpeg, "JPEG", exif=exif, quality=95, subsampling=0
    )
    path, result = tmp_path / "a.mkv", tmp_path / "b.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_mux_stream("mjpeg", rate=25, width=48, height=64)
        for number in range(2):
            packet = av.Packet(jpeg.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), stream
            out.mux(packet)
    outcome = render(path, result, negative, LOSSLESS)
    assert (outcome.width, outcome.height) == (64, 48)
    check_negatives(result, [picture] * 2)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [(".mp4", None, "yuv444p"), (".webm", None, "yuv420p"), (".mp4", "av1", "yuv420p10le")],
)
def test_odd_sizes_stay(tmp_path, negative, suffix, codec, pixel_format):
    height, width = 241, 337
    path = write_clip(
        tmp_path / "a.mkv", pictures(3, height, width), codec="ffv1", pixel_format="yuv444p"
    )
    settings = VideoSettings(codec=codec)
    outcome = render(path, tmp_path / f"b{suffix}", negative, settings)
    result = Clip(tmp_path / f"b{suffix}")
    assert (result.width, result.height) == (outcome.width, outcome.height) == (width, height)
    with av.open(str(result.path)) as clip:
        assert clip.streams.video[0].pix_fmt == pixel_format.removesuffix("10le")
    assert bool(outcome.notes) == (pixel_format == "yuv444p")
    check_negatives(result.path, list(pictures(3, height, width)), tolerance=10)


def test_ten_bits_stay_ten_bits(tmp_path, negative):
    path = write_clip(tmp_path / "a.mkv", pictures(3), codec="ffv1", pixel_format="yuv420p10le")
    render(path, tmp_path / "b.mp4", negative, VideoSettings())
    with av.open(str(tmp_path / "b.mp4")) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.codec_tag, stream.pix_fmt) == ("hvc1", "yuv420p10le")


def test_a_part_of_a_clip(tmp_path, negative):
    path = write_clip(
        tmp_path / "a.mp4", pictures(25), sound="aac", chapters=[(0, 400), (400, 1000)]
    )
    settings = VideoSettings(crf=1, extract=Extract(Fraction(1, 5), Fraction(3, 5)))
    render(path, tmp_path / "b.mp4", negative, settings)
    assert frame_times(tmp_path / "b.mp4") == [Fraction(n, 25) for n in range(10)]
    check_negatives(tmp_path / "b.mp4", list(pictures(25))[5:15])
    whole, part = packets(path, "audio"), packets(tmp_path / "b.mp4", "audio")
    first = whole.index(part[0])
    assert part == whole[first : first + len(part)]
    assert len(part) * 1024 / 48_000 == pytest.approx(0.4, abs=0.03)
    with av.open(str(tmp_path / "b.mp4")) as clip:
        times = [(c["start"] * c["time_base"], c["end"] * c["time_base"]) for c in clip.chapters()]
    assert times == [(0, Fraction(1, 5)), (Fraction(1, 5), Fraction(2, 5))]
    with pytest.raises(VideoError, match="no frame between --start and --end"):
        render(path, tmp_path / "c.mp4", negative, VideoSettings(extract=Extract(Fraction(9))))
    with pytest.raises(VideoError, match="no frame between --start and --end"):
        render(path, tmp_path / "c.gif", negative, VideoSettings(extract=Extract(Fraction(9))))


@pytest.mark.parametrize(
    ("rate", "numbers"), [(10, [0, 2, 5, 7]), (50, [n // 2 for n in range(20)])]
)
def test_another_frame_rate(tmp_path, negative, rate, numbers):
    path = write_clip(tmp_path / "a.mp4", pictures(10), options={"crf": "1"})
    render(path, tmp_path / "b.mp4", negative, VideoSettings(crf=1, frame_rate=Fraction(rate)))
    assert frame_times(tmp_path / "b.mp4") == [Fraction(n, rate) for n in range(len(numbers))]
    originals = list(pictures(10))
    check_negatives(tmp_path / "b.mp4", [originals[number] for number in numbers])


def test_dials_follow_the_clips_time(tmp_path, negative):
    strengths = parse_numbers("strength", ["0:0", "0.16:1"])
    negative.timeline = Timeline({"negative": 1.0}, tracks={"strength": strengths})
    grey = np.full((48, 64, 3), 40, np.uint8)
    path = write_clip(tmp_path / "a.mp4", [grey] * 5, options={"crf": "1"})
    render(path, tmp_path / "b.mp4", negative, LOSSLESS)
    levels = [frame.rgb.mean() for frame in Clip(tmp_path / "b.mp4").frames()]
    assert levels == pytest.approx([40, 83.75, 127.5, 171.25, 215], abs=2)


def test_sound_that_has_no_place_is_told_before_the_work(tmp_path, negative):
    path = write_clip(tmp_path / "a.mkv", pictures(2), sound="aac")
    expected = r"\.webm cannot hold the sound of .* \(aac\): .* ends in \.mp4 or \.mov or \.mkv"
    with pytest.raises(OutputError, match=expected):
        render(path, tmp_path / "b.webm", negative, VideoSettings())
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["a.mkv"]


def test_a_clip_that_ends_before_it_says_is_told(tmp_path, negative):
    whole = write_clip(tmp_path / "a.mkv", pictures(40), options={"g": "5"}).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    outcome = render(path, tmp_path / "b.mkv", negative, VideoSettings())
    assert 0 < outcome.frames < 40
    assert [note.split(" states ")[1][:37] for note in outcome.notes] == [
        "1.6 s, and its frames end after " + f"{outcome.frames / 25:.1f} s"
    ]


def test_clips_become_animations_and_animations_clips(tmp_path, negative):
    path = write_clip(tmp_path / "a.mp4", pictures(4), sound="aac", options={"crf": "1"})
    outcome = render(path, tmp_path / "b.webp", negative, VideoSettings())
    assert outcome.notes == [".webp holds no sound: it is left out"]
    render(tmp_path / "b.webp", tmp_path / "c.mp4", negative, LOSSLESS)
    frames = [frame.rgb.astype(int) for frame in Clip(tmp_path / "c.mp4").frames()]
    assert frame_times(tmp_path / "c.mp4") == [Fraction(n, 25) for n in range(4)]
    for frame, picture in zip(frames, pictures(4), strict=True):  # twice the negative
        assert np.abs(frame - picture).mean() < 12


def test_upscaling(tmp_path, tiny_upscaler):
    change = FrameEnlarger(
        Enlarger(UpscaleModel(tiny_upscaler, threads=1), Enlarging(scale=2)), 0.3
    )
    path = write_clip(tmp_path / "a.mp4", pictures(4), options={"crf": "1"})
    outcome = render(path, tmp_path / "b.mp4", change, LOSSLESS)
    assert (outcome.width, outcome.height, outcome.frames) == (128, 96, 4)
    for frame, picture in zip(Clip(tmp_path / "b.mp4").frames(), pictures(4), strict=True):
        large = picture.repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(frame.rgb.astype(int) - large).mean() < 8


def test_codecs(tmp_path):
    assert choose_codec(None, None, ".mp4", 8) == "h264"
    assert choose_codec(None, None, ".mkv", 10) == "hevc"
    assert choose_codec(None, None, ".webm", 10) == "vp9"
    assert CODECS["vp9"].pixel_format(64, 48, 10) == "yuv420p"
    assert CODECS["prores"].pixel_format(65, 48, 8) == "yuv422p10le"
    with pytest.raises(UsageError, match="--codec must be h264, hevc, vp9, av1 or prores, not 'x'"):
        choose_codec("x", None, ".mp4", 8)
    with pytest.raises(UsageError, match="--crf is not for prores"):
        choose_codec("prores", 3, ".mov", 8)
    with pytest.raises(UsageError, match="--crf must lie between 0 and 51, not 52"):
        choose_codec("h264", 52, ".mp4", 8)
    with pytest.raises(UsageError, match="--crf must lie between 0 and 51, not 52"):
        choose_codec(None, 52, ".mp4", 8)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_container_holds_the_codecs_that_it_is_said_to(tmp_path, negative, codec, suffix):
    path = write_clip(tmp_path / "a.mp4", pictures(3))
    result = tmp_path / f"b{suffix}"
    settings = VideoSettings(codec=codec)
    if suffix not in CODECS[codec].suffixes:
        with pytest.raises(UsageError, match=f"{suffix} cannot hold --codec {codec}"):
            render(path, result, negative, settings)
        assert not list(tmp_path.glob("b*"))
        return
    render(path, result, negative, settings)
    assert len(list(Clip(result).frames())) == 3


def test_transparency_is_laid_on_white_in_a_clip(tmp_path, negative):
    rgba = np.zeros((32, 48, 4), np.uint8)
    rgba[:, :24, 3] = 255
    images = [Image.fromarray(rgba)] * 3
    path = tmp_path / "a.png"
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    unpainted = Timeline({"negative": 1.0}, Painting(strength=0.0))
    change = dataclasses.replace(negative, timeline=unpainted)
    render(path, tmp_path / "b.mp4", change, LOSSLESS)
    for frame in Clip(tmp_path / "b.mp4").frames():
        assert frame.rgb[:, :20].max() < 12 and frame.rgb[:, 28:].min() > 243


@pytest.mark.parametrize(("height", "width"), [(2, 2), (8, 64), (64, 8)])
def test_tiny_clips_are_kept_steady_too(tmp_path, tiny_model, height, width):
    path = write_clip(tmp_path / "a.mp4", pictures(3, height, width))
    steady = MODES["light"]
    change = FramePainter(
        StyleModel(tiny_model, threads=1),
        Timeline({"negative": 1.0}),
        steadiness=steady,
    )
    outcome = render(path, tmp_path / "b.mp4", change, LOSSLESS)
    assert (outcome.frames, outcome.width, outcome.height) == (3, width, height)
