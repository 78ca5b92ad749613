"""The frames that a ControlNet on a base is shown for a sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.methods.base import ControlNet
from eval.methods.base_parts import Recipe
from eval.samples import Sample


def conditioning_frames(recipe: Recipe, net: ControlNet, sample: Sample, frames: int) -> list[Any]:
    """Those of the net's own folder, else of the sample, else the glyph world's position maps.

    Args:
        recipe: of the base, whose folder relative paths start from.
        net: one of its ControlNets.
        sample: with ``conditioning`` where the manifest names it.
        frames: how many are needed; the first ones are taken.

    Returns:
        uint8 (H, W, 3), one for each frame.

    Raises:
        EvalError: there are none for this sample, or too few.
    """
    where: object
    if net.frames is not None:
        where, clip = _of_folder(recipe, net.frames, sample)
    elif sample.conditioning is not None:
        where, clip = f"the conditioning of sample '{sample.id}'", sample.conditioning.frames
    else:
        from eval.world.control import position_maps

        try:
            return list(position_maps(sample.truth, frames))
        except EvalError as error:
            raise EvalError(
                f"controlnets: no conditioning frames for sample '{sample.id}': give its manifest "
                "a column 'conditioning', or the ControlNet frames: FOLDER, with a folder of "
                "images or a clip named by each sample's id"
            ) from error
    if len(clip) < frames:
        raise EvalError(f"controlnets: {where} has {len(clip)} frames; {frames} are needed")
    return list(clip[:frames])


def _of_folder(recipe: Recipe, folder: str, sample: Sample) -> tuple[Path, Any]:
    from eval.clips.media import read_media

    root = recipe.find("controlnets.frames", folder)
    choices = sorted(path for path in root.iterdir() if sample.id in (path.name, path.stem))
    if len(choices) != 1:
        raise EvalError(
            f"controlnets: {root} holds {len(choices)} entries named '{sample.id}'; one is needed, "
            "a folder of images or a clip"
        )
    return choices[0], read_media(choices[0], fps=8.0).clip.frames
