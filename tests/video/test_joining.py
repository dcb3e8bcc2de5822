"""What else is in a clip: kept, turned into what the container holds, or told."""

from fractions import Fraction

import av
import pytest
from clip_files import packets, pictures, write_clip

from impasto.video.joining import Extract
from impasto.video.rendering import VideoSettings, render

HELLO = "1\n00:00:00,020 --> 00:00:00,100\nHello\n"
TWO_LINES = """1
00:00:00,200 --> 00:00:00,300
<i>Où</i> es-tu <3 ?

2
00:00:00,500 --> 00:00:00,900
{\\an8}Ici
<font color="red">2</font>
"""


def clip_with_text(tmp_path, text):
    """A clip in MKV with SRT subtitles and a font."""
    clip = write_clip(tmp_path / "a.mp4", pictures(25))
    words = tmp_path / "words.srt"
    words.write_text(text, encoding="utf-8")
    path = tmp_path / "a.mkv"
    with (
        av.open(str(clip)) as video,
        av.open(str(words)) as text,
        av.open(str(path), "w") as out,
    ):
        copies = {
            source: out.add_stream_from_template(source.streams[0], opaque=True)
            for source in (video, text)
        }
        copies[text].metadata["language"] = "fra"
        out.add_attachment("a.ttf", "font/ttf", b"a font")
        for source, copy in copies.items():
            for packet in source.demux():
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    return path


def as_latin_1(path, *texts):
    """Makes the last letter of each text in a file an é that is not UTF-8."""
    data = path.read_bytes()
    for text in texts:
        assert text in data
        data = data.replace(text, text[:-1] + b"\xe9")
    path.write_bytes(data)
    return path


def test_subtitles_and_fonts_are_kept_where_there_is_a_place(tmp_path, negative):
    path = clip_with_text(tmp_path, HELLO)
    render(path, tmp_path / "b.mkv", negative, VideoSettings())
    assert packets(tmp_path / "b.mkv", "subtitle") == packets(path, "subtitle") == [b"Hello"]
    with av.open(str(tmp_path / "b.mkv")) as result:
        assert result.streams.subtitles[0].language == "fra"
        (font,) = result.streams.attachments
        assert (font.name, bytes(font.data)) == ("a.ttf", b"a font")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_tags_of_another_encoding_are_kept(tmp_path, negative, suffix):
    path = write_clip(tmp_path / "a.mkv", pictures(2), title="Caf_", chapters=[(0, 80)])
    as_latin_1(path, b"Caf_", b"Part 0")
    result = tmp_path / f"b{suffix}"
    render(path, result, negative, VideoSettings())
    written = result.read_bytes()
    assert (b"Caf\xe9" in written, b"Part \xe9" in written) == (True, True)


def test_names_of_another_encoding_are_kept(tmp_path, negative):
    path = as_latin_1(clip_with_text(tmp_path, HELLO), b"a.ttf")
    render(path, tmp_path / "b.mkv", negative, VideoSettings())
    assert b"a.tt\xe9" in (tmp_path / "b.mkv").read_bytes()


def test_plain_subtitles_become_those_of_mp4(tmp_path, negative):
    path = clip_with_text(tmp_path, TWO_LINES)
    settings = VideoSettings(extract=Extract(Fraction(1, 10)))
    for suffix in (".mp4", ".mov"):
        result = tmp_path / f"b{suffix}"
        outcome = render(path, result, negative, settings)
        assert outcome.notes == [f"left out of {suffix}: attachment (attachment)"]
        with av.open(str(result)) as clip:
            (stream,) = clip.streams.subtitles
            assert (stream.codec_context.name, stream.language) == ("mov_text", "fra")
            lines = [
                (p.pts * p.time_base, p.duration * p.time_base, bytes(p)[2:].decode())
                for p in clip.demux(stream)
                if p.size > 2
            ]
        assert lines == [
            (Fraction(1, 10), Fraction(1, 10), "Où es-tu <3 ?"),
            (Fraction(4, 10), Fraction(4, 10), "Ici\n2"),
        ]
        # Players read the length that a line states.
        for packet in packets(result, "subtitle"):
            assert int.from_bytes(packet[:2], "big") == len(packet) - 2


def test_a_cameras_data_is_told(tmp_path, negative):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream, data = out.add_stream("libx264", rate=25), out.add_data_stream("bin_data")
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        place = av.Packet(b"48.85, 2.35")
        place.pts = place.dts = 0
        place.time_base, place.stream = Fraction(1, 25), data
        for number, picture in enumerate(pictures(2)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(place)
        out.mux(stream.encode())
    outcome = render(path, tmp_path / "b.mp4", negative, VideoSettings())
    assert outcome.notes == [
        "left out of .mp4: data that is neither picture nor sound, such as a camera's"
    ]


def test_covers_are_told_and_chapters_are_no_data(tmp_path, negative):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        cover = out.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.set_chapters(
            [
                {
                    "id": 0,
                    "start": 0,
                    "end": 80,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": "A"},
                }
            ]
        )
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures(2)]
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        frames[0].pts = 0
        out.mux(cover.encode(frames[0]) + cover.encode())
    outcome = render(path, tmp_path / "b.mp4", negative, VideoSettings())
    assert outcome.notes == ["left out of .mp4: the cover picture"]
    with av.open(str(path)) as clip:  # what the titles of chapters lie in
        assert len(clip.streams.data) == 1
