"""Drawn shapes: solid figures that no font has, as many as wanted.

They teach the generators that a shape can be anything, so that what an unseen glyph looks like must
come from the image. (With the font's own letters in that role, generated unseen glyphs turned into
letters.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

_SIDE = 256
_CORNERS = {
    "bar": [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)],
    "triangle": [(0, -0.5), (0.5, 0.5), (-0.5, 0.5)],
}
_THINNEST = 21  # px of 256: a narrower part would vanish in a 64 px frame


def shape(number: int) -> np.ndarray:
    """Shape `number`, uint8 (256, 256), 0 or 255, somewhere on its canvas. The same number gives
    the same shape.
    """
    import cv2

    for attempt in range(64):
        rng = np.random.default_rng([number, attempt])
        drawn = _outline(rng) if rng.random() < 0.4 else _assembly(rng)
        if rng.random() < 0.4:
            cut = _primitive(rng, 0.12, 0.3, reach=0.2)
            drawn[cut > 0] = 0
        if rng.random() < 0.5:
            drawn[:, _SIDE // 2 :] = drawn[:, : _SIDE // 2][:, ::-1]
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_THINNEST, _THINNEST))
        drawn = cv2.morphologyEx(drawn, cv2.MORPH_OPEN, kernel)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(drawn)
        if count < 2:
            continue
        largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
        _, _, width, height, area = statistics[largest]
        if min(width, height) > 0.45 * max(width, height) and area > 0.3 * max(width, height) ** 2:
            return np.where(labels == largest, 255, 0).astype(np.uint8)
    raise ValueError(f"no solid shape found for number {number}")


def _outline(rng: np.random.Generator) -> np.ndarray:
    """One closed curve around the middle: a polygon, a star, or a wave."""
    corners, turn = int(rng.integers(3, 9)), rng.uniform(0.0, 2.0 * np.pi)
    kind = rng.choice(["polygon", "star", "wave"])
    angles: np.ndarray[Any, Any]
    radii: np.ndarray[Any, Any]
    if kind == "polygon":
        angles, radii = (
            turn + np.arange(corners) * 2.0 * np.pi / corners,
            rng.uniform(0.6, 1.0, corners),
        )
    elif kind == "star":
        angles = turn + np.arange(2 * corners) * np.pi / corners
        radii = np.tile([1.0, rng.uniform(0.4, 0.8)], corners)
    else:
        angles = np.arange(180) * np.pi / 90.0
        radii = np.ones(180)
        for order in rng.choice(np.arange(2, 8), size=2, replace=False):
            radii += (
                rng.uniform(0.0, 0.35)
                / order**0.5
                * np.cos(order * angles + rng.uniform(0.0, 2.0 * np.pi))
            )
    radii = 110.0 * radii / radii.max()
    stretch = rng.uniform(0.7, 1.0, 2)
    return _filled(
        np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1) * stretch + _SIDE / 2
    )


def _assembly(rng: np.random.Generator) -> np.ndarray:
    """Two to four overlapping primitives."""
    parts = [_primitive(rng, 0.25, 0.8, reach=0.25) for _ in range(int(rng.integers(2, 5)))]
    return np.maximum.reduce(parts)


def _primitive(
    rng: np.random.Generator, smallest: float, largest: float, *, reach: float
) -> np.ndarray:
    """A disc, triangle or bar whose sides are shares of the canvas, its centre at most `reach` from
    the middle.
    """
    import cv2

    centre = _SIDE * (0.5 + rng.uniform(-reach, reach, 2))
    width, height = _SIDE * rng.uniform(smallest, largest, 2)
    turn = rng.choice([0.0, 45.0, 90.0, rng.uniform(0.0, 180.0)])
    kind = rng.choice(["disc", "triangle", "bar"])
    if kind == "disc":
        canvas = np.zeros((_SIDE, _SIDE), np.uint8)
        cv2.ellipse(canvas, (tuple(centre), (width, height), float(turn)), 255, -1)
        return canvas
    sine, cosine = np.sin(np.radians(turn)), np.cos(np.radians(turn))
    turned = (np.asarray(_CORNERS[kind]) * (width, height)) @ np.asarray(
        [[cosine, sine], [-sine, cosine]]
    )
    return _filled(turned + centre)


def _filled(points: np.ndarray) -> np.ndarray:
    import cv2

    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points).astype(np.int32)], 255)
    return canvas
