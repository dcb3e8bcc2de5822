"""Clips for tests, made with PyAV alone, and what can be read of them."""

from fractions import Fraction

import av
import numpy as np


def pictures(count, height=48, width=64):
    """Smooth pictures in which a bright bar moves to the right, 4 px a frame."""
    rows, columns = np.mgrid[0:height, 0:width]
    for number in range(count):
        bar = 200 * (abs(columns - 8 - 4 * number) < 5)
        yield np.stack([bar, rows * 255 // height, columns * 255 // width], -1).astype(np.uint8)


def write_clip(
    path,
    frames,
    *,
    codec="libx264",
    options=None,
    pixel_format="yuv420p",
    rate=25,
    pts=None,
    time_base=None,
    sound=None,
    subtitle=None,
    rotation=None,
    chapters=(),
    stream_settings=None,
    title="A clip",
):
    """Writes a clip; `pts` in units of `time_base` makes its frame rate vary."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        time_base = time_base or Fraction(1, rate)
        stream.time_base = stream.codec_context.time_base = time_base
        stream.pix_fmt = pixel_format
        for name, value in (stream_settings or {}).items():
            setattr(stream, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        voice = out.add_stream(sound, rate=48_000, layout="mono") if sound else None
        words = out.add_stream(subtitle) if subtitle else None
        if words is not None:
            words.codec_context.subtitle_header = b"[Script Info]\n"
        if title:
            out.metadata["title"] = title
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": f"Part {number}"},
                    }
                    for number, (start, end) in enumerate(chapters)
                ]
            )
        last = 0
        for number, picture in enumerate(frames):
            frame = picture
            if isinstance(picture, np.ndarray):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if number == 0:
                stream.height, stream.width = frame.height, frame.width
            frame.pts = last = number if pts is None else pts[number]
            frame.time_base = time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if voice is not None:
            out.mux(list(_sound(voice, float(last * time_base) + 1 / rate)))
    return path


def write_hlg_clip(path, count):
    """Writes frames of the white of paper in HLG, as `hlg_frames` gives them, without a loss."""
    frames, hlg = hlg_frames(count)
    return write_clip(
        path,
        frames,
        codec="libx265",
        # With B frames x265 fails on a single frame now and then.
        options={"x265-params": "log-level=none:lossless=1:bframes=0"},
        pixel_format="yuv420p10le",
        stream_settings=hlg,
    )


def _sound(stream, seconds):
    times = np.arange(int(48_000 * seconds)) / 48_000
    wave = (8000 * np.sin(2 * np.pi * 440 * times)).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    frame.sample_rate, frame.pts = 48_000, 0
    yield from stream.encode(frame)
    yield from stream.encode()


def frame_times(path):
    """When each frame is shown, exactly."""
    with av.open(str(path)) as clip:
        return [frame.pts * frame.time_base for frame in clip.decode(video=0)]


def packets(path, kind):
    """The content of every packet of the first stream of a kind."""
    with av.open(str(path)) as clip:
        stream = next(s for s in clip.streams if s.type == kind)
        return [bytes(packet) for packet in clip.demux(stream) if packet.size]


def damage(path, numbers):
    """Overwrites packets of a clip's video, by their numbers: a slice."""
    with av.open(str(path)) as whole:
        places = [(packet.pos, packet.size) for packet in whole.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in places[numbers]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def hlg_frames(count, level=721):
    """Grey frames in HLG of 10 bits, and the settings of their stream: 721 is white paper."""
    frames = []
    for _ in range(count):
        frame = av.VideoFrame(64, 48, "yuv420p10le")
        for plane, value in zip(frame.planes, (level, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
        frames.append(frame)
    return frames, {"color_range": 1, "colorspace": 9, "color_primaries": 9, "color_trc": 18}
