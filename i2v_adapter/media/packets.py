"""The packets of a video, walked over without decoding: how many frames there are, and when."""

from __future__ import annotations

import io
from typing import BinaryIO, NamedTuple

from i2v_adapter.media.containers import Opened
from i2v_adapter.media.errors import MediaError


class Packet(NamedTuple):
    """One frame: when it is shown and decoded, how long, in units of the container."""

    shown: int | None
    decoded: int | None
    duration: int
    is_key: bool


class Survey(NamedTuple):
    """The packets that are shown, in the order of the file, and the number that are not."""

    packets: list[Packet]
    discarded: int

    def stamps(self) -> list[int] | None:
        """When each frame is shown, in order; None where packets do not say so."""
        shown = [packet.shown for packet in self.packets if packet.shown is not None]
        return sorted(shown) if len(shown) == len(self.packets) else None

    def late(self) -> int:
        """Number of frames at the end that may come late, as B-frames before them are missing where
        a file was cut without encoding it again. 0 where frames are stored as they are shown.
        """
        shown = [packet.shown for packet in self.packets if packet.shown is not None]
        if shown == sorted(shown):
            return 0
        return max(1, sum(stamp > shown[-1] for stamp in shown))

    def start(self, stamp: int) -> int:
        """Where to seek to for the frame shown at `stamp`.

        Containers seek by decoding time: a key frame decoded before a B-frame may be shown after
        it.
        """
        keys = [p for p in self.packets if p.is_key and p.shown is not None and p.shown <= stamp]
        key = max(keys, default=self.packets[0], key=lambda packet: packet.shown or 0)
        return min(time for time in (key.shown, key.decoded, stamp) if time is not None)


def survey(opened: Opened) -> Survey:
    """Walks over all packets of the stream."""
    is_vp8 = opened.stream.codec_context.name == "vp8"
    packets: list[Packet] = []
    discarded = 0
    for packet in opened.container.demux(opened.stream):
        if not packet.size or (is_vp8 and not bytes(packet)[0] & 0x10):  # a frame never shown
            continue
        if packet.is_discard:
            discarded += 1
            continue
        decoded = packet.dts if packet.dts is not None else packet.pts
        packets.append(Packet(packet.pts, decoded, packet.duration or 0, packet.is_keyframe))
    return Survey(packets, discarded)


def check_packets(opened: Opened, file: BinaryIO, found: Survey) -> None:
    """Raises MediaError for a file with fewer packets than its index announces, or no end mark."""
    count = len(found.packets) + found.discarded
    known = 0
    if opened.kind == "mov":
        known = len(opened.stream.index_entries)
    elif opened.kind == "avi":
        known = opened.stream.frames or 0
    if count < known:
        raise MediaError(f"{count} of {known} frames are there; the file is cut short")
    if opened.kind == "gif":
        file.seek(-1, io.SEEK_END)
        if file.read(1) != b";":
            raise MediaError("the end mark is missing; the file is cut short")


def check_end(opened: Opened, found: Survey, times: list[float], tick: float) -> None:
    """Raises MediaError for fewer decoded frames, or an earlier end, than the file announces.

    Args:
        opened: the file.
        found: its packets.
        times: of the decoded frames, in seconds.
        tick: the container's unit of time, in seconds.
    """
    count = len(times)
    if not count:
        raise MediaError("the video has no frames; is the file cut short?")
    if opened.kind in ("mov", "avi") and count < len(found.packets):
        raise MediaError(
            f"{count} of {len(found.packets)} frames can be decoded; the file is cut short"
        )
    if opened.kind == "gif":
        return
    only = len(opened.container.streams) == 1  # else the duration may be that of the sound
    duration = opened.container.duration
    announced = _seconds(opened.stream.metadata.get("DURATION", ""))
    announced = announced or (duration / 1e6 if duration and only else 0.0)
    rate = next((rate for rate in opened.rates() if rate > 0), 0.0)
    step = (times[-1] - times[0]) / (count - 1) if count > 1 else 1 / rate if rate else 0.0
    if step and times[0] + (count + 0.5) * step + 2 * tick < announced:
        raise MediaError(
            f"frames end at {times[-1] + step:.2f} s of {announced:.2f} s; the file is cut short"
        )


def _seconds(tag: str) -> float:
    """Matroska's duration of a track, ``HH:MM:SS.fraction``; 0 if there is none."""
    parts = tag.strip("\0 ").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds
