"""The one reader of video: the frames that a player shows, or why they cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from i2v_adapter.media.colour import HDR, check_colour, tone_mapped
from i2v_adapter.media.containers import Opened, open_container, open_source
from i2v_adapter.media.errors import MediaError
from i2v_adapter.media.file_checks import MAX_FRAME
from i2v_adapter.media.geometry import Orientation, orientation, square_width
from i2v_adapter.media.packets import check_end, check_packets, survey
from i2v_adapter.media.timing import constant_rate, gif_repeats

Hdr = Literal["refuse", "tone-map"]
"""What is done with HDR video."""
_MOST_LATE = 4
_FLATTEN = "flatten it over the background it is meant for"


class Video:
    """A video file whose frames can be read one after another, or picked. A context manager.

    Opening walks over the packets once, without decoding: how many frames there are, when they
    are shown and whether the file is whole is known before the first one is decoded.

    Args:
        source: path of a regular file, or a seekable binary file.
        hdr: `tone-map` shows HDR video as SDR; see `i2v_adapter.media.colour.tone_mapped`.
        most_pixels: limit of frames x height x width.
        even: refuse frame durations that vary.

    Attributes:
        notes: what was changed or is odd, in words; complete once all frames are read.
        fps: the constant rate, in frames per second. None until all frames are read, where
            packets have no times; always, where `even` is False.

    Raises:
        MediaError: missing, no regular file, not a video, cut short, over the limit, an alpha
            channel, frame durations that vary.

    Examples:
        >>> with Video("cat.mp4") as video:  # doctest: +SKIP
        ...     for frame in video:  # uint8 (H, W, 3), RGB, upright
        ...         ...
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        *,
        hdr: Hdr = "refuse",
        most_pixels: int | None = None,
        even: bool = True,
    ) -> None:
        self.notes: list[str] = []
        self.fps: float | None = None
        self._hdr, self._most, self._even = hdr, most_pixels, even
        self._described: set[tuple[Any, ...]] = set()
        self._convert = VideoReformatter().reformat
        self._file, self._close_file = open_source(source)
        self._opened: Opened | None = None
        try:
            self._opened = open_container(self._file)
            self._survey(self._opened)
        except FFmpegError as error:
            self.close()
            raise MediaError(
                f"not a readable mp4, mov, webm, mkv, gif or avi ({_reason(error)})"
            ) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes what was opened here."""
        if self._opened is not None:
            self._opened.container.close()
        if self._close_file:
            self._file.close()

    def __len__(self) -> int:
        """Number of frames, held GIF frames repeated; at most, where some packets show nothing."""
        return sum(self._repeats)

    @property
    def container(self) -> tuple[str, str]:
        """The container: a key of :data:`i2v_adapter.media.containers.FORMATS`, and its name."""
        assert self._opened is not None
        return self._opened.kind, str(self._opened.container.format.long_name)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """All frames in the order of display, uint8 (H, W, 3).

        Raises:
            MediaError: damaged, cut short, colours that cannot be converted, transparent pixels.
        """
        opened = self._reopen()
        times: list[float] = []
        for frame in _decoded(opened):
            if frame.is_corrupt:
                raise MediaError("a frame is damaged; is the file cut short?")
            number = len(times)
            times.append(float(frame.time) if frame.time is not None else float("nan"))
            pixels = self._pixels(frame, opened)
            for _ in range(self._repeats[number] if number < len(self._repeats) else 1):
                yield pixels
        check_end(opened, self._found, times, self._tick)
        if self.fps is None and self._even and self._found.stamps() is None:
            self.fps = constant_rate(times, self._tick, opened.rates())

    def pick(self, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Some frames, decoded from the last key frame before the first of them.

        Args:
            numbers: in the order of display, ascending, below `len`.

        Raises:
            MediaError: as for all frames; durations that vary between the frames read.
        """
        ordered = self._found.stamps()
        if self.container[0] == "gif" or ordered is None:
            wanted = set(numbers)
            return [pixels for number, pixels in enumerate(self) if number in wanted]
        opened = self._reopen()
        used = ordered[numbers[0] : numbers[-1] + 1]
        constant_rate([stamp * self._tick for stamp in used], self._tick, opened.rates())
        targets = [ordered[number] for number in numbers]
        opened.container.seek(self._found.start(targets[0]), stream=opened.stream)
        picked = {}
        for frame in _decoded(opened):
            if frame.pts in targets and not frame.is_corrupt:
                picked[frame.pts] = self._pixels(frame, opened)
            if frame.pts is not None and frame.pts >= targets[-1]:
                break
        if len(picked) < len(targets):
            raise MediaError(
                f"{len(targets) - len(picked)} of {len(targets)} frames cannot be decoded; is the "
                "file damaged?"
            )
        return [picked[target] for target in targets]

    def _reopen(self) -> Opened:
        """Back to the start, which not every container can seek to."""
        assert self._opened is not None
        self._opened.container.close()
        try:
            self._opened = open_container(self._file)
        except FFmpegError as error:
            raise MediaError(f"cannot be read twice ({_reason(error)})") from error
        return self._opened

    def _survey(self, opened: Opened) -> None:
        stream = opened.stream
        if opened.others:
            self._note(
                f"holds {opened.others + 1} video streams; stream {stream.index} was read "
                f"({stream.width} x {stream.height} px)"
            )
        if stream.metadata.get("alpha_mode") == "1":  # VP8 and VP9, whose decoders drop it
            raise MediaError(f"the video has an alpha channel; {_FLATTEN}")
        self._height = stream.height
        self._width = square_width(stream.width, stream.sample_aspect_ratio)
        self._check_size(max(1, stream.frames or 0))
        if self._width != stream.width:
            self._note(
                f"pixels {stream.sample_aspect_ratio} as wide as high were made square: "
                f"{stream.width} x {self._height} became {self._width} x {self._height} px"
            )
        self._tick = float(stream.time_base or 0)
        self._found = survey(opened)
        check_packets(opened, self._file, self._found)
        self._repeats = [1] * len(self._found.packets)
        stamps = self._found.stamps()
        if opened.kind == "gif" and stamps:
            durations = [packet.duration for packet in self._found.packets]
            if min(durations) < 2:
                self._note("delays below 20 ms were taken for 100 ms, as players do")
                durations = [duration if duration >= 2 else 10 for duration in durations]
            self._repeats, self.fps = gif_repeats(durations)
            self._note_repeats()
        elif self._even and stamps:
            self.fps = self._rate(opened, stamps)
        self._check_size(len(self))

    def _rate(self, opened: Opened, stamps: list[int]) -> float | None:
        times = [stamp * self._tick for stamp in stamps]
        late = self._found.late()
        try:
            return constant_rate(times, self._tick, opened.rates())
        except MediaError:
            if not 0 < late <= min(_MOST_LATE, len(times) - 2):
                raise
            rate = constant_rate(times[:-late], self._tick, opened.rates())
        self._note(
            f"cut between B-frames: the last {late} of {len(times)} frames come later than the "
            "constant rate of the others"
        )
        return rate

    def _note_repeats(self) -> None:
        pictures, frames = len(self._repeats), len(self)
        if pictures == 1:
            self._note(
                f"holds one picture; it was repeated as {frames} frames at {self.fps:g} per second"
            )
        elif frames > pictures:
            self._note(
                f"pictures held for longer were repeated: {pictures} pictures, {frames} frames at "
                f"{self.fps:.4g} per second"
            )

    def _pixels(self, frame: av.VideoFrame, opened: Opened) -> NDArray[np.uint8]:
        """The frame as shown, uint8 (H, W, 3)."""
        if frame.width * frame.height > MAX_FRAME:
            raise MediaError(f"a frame of {frame.width} x {frame.height} px is too large")
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        turn = orientation(None if matrix is None else bytes(matrix))
        kind = (frame.format.name, frame.colorspace, frame.color_trc, frame.color_primaries, turn)
        if kind not in self._described:
            self._describe(frame, turn)
            self._described.add(kind)
        if frame.interlaced_frame:
            self._note("interlaced: the two fields of a frame, of different times, were woven")
        width = square_width(frame.width, opened.stream.sample_aspect_ratio)
        if frame.color_trc in HDR:
            return turn.apply(
                tone_mapped(self._rgb(frame, "rgb48le", width), transfer=frame.color_trc)
            )
        if any(part.is_alpha for part in frame.format.components) or frame.format.name == "pal8":
            rgba = self._rgb(frame, "rgba", width)
            if rgba[..., 3].min() < 255:
                raise MediaError(f"transparent pixels; {_FLATTEN}")
            return turn.apply(rgba[..., :3])
        return turn.apply(self._rgb(frame, "rgb24", width))

    def _rgb(self, frame: av.VideoFrame, kind: str, width: int) -> NDArray[Any]:
        converted = self._convert(
            frame,
            width=width,
            height=frame.height,
            format=kind,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )
        return converted.to_ndarray()

    def _describe(self, frame: av.VideoFrame, turn: Orientation) -> None:
        for note in check_colour(frame, tone_map=self._hdr == "tone-map"):
            self._note(note)
        depth = max(component.bits for component in frame.format.components)
        if depth > 8:
            self._note(f"{depth} bits a channel were reduced to 8")
        if str(turn):
            self._note(f"{turn}, as its display matrix says")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _check_size(self, count: int) -> None:
        height, width = self._height, self._width
        if height * width > MAX_FRAME:
            raise MediaError(f"a frame of {width} x {height} px is too large")
        if self._most is not None and count * height * width > self._most:
            raise MediaError(
                f"{count} or more frames of {width} x {height} px are over the limit of "
                f"{self._most:,} pixels a clip; shorten or reduce it"
            )


def _decoded(opened: Opened) -> Iterator[av.VideoFrame]:
    try:
        yield from opened.container.decode(opened.stream)
    except FFmpegError as error:
        raise MediaError(
            f"decoding stops with an error ({_reason(error)}); is the file cut short?"
        ) from error


def _reason(error: Any) -> str:
    return str(error.strerror or error)
