"""What a file of weights holds, told from the names of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from eval.errors import EvalError
from eval.methods.tensor_headers import header

I2V_ADAPTER = "an I2V adapter"
IP_ADAPTER = "an IP-Adapter"
CONTROLNET = "a ControlNet"
LORA = "a LoRA"
TRANSFORMER_LORA = "a LoRA of a transformer"
CHECKPOINT = "a Stable Diffusion checkpoint"
MOTION_UNET = "a UNet with motion modules"
MOTION = "motion modules"
UNET = "a UNet"
VAE = "a VAE"
TEXT_ENCODER = "a text encoder"

_ADAPTER_TENSORS = ("to_q_ff.weight", "to_out_ff.weight", "to_out_ff.bias")
_CONTROLNET = ("controlnet_cond_embedding.", "control_model.", "input_hint_block.")
_TRANSFORMER = ("transformer.", "diffusion_model.", "transformer_blocks.", "blocks.")


def _with(*parts: str) -> Callable[[str], bool]:
    return lambda name: any(part in name for part in parts)


def _from(*starts: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(starts)


_KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (I2V_ADAPTER, lambda name: name.endswith(_ADAPTER_TENSORS) or ".i2v_adapter." in name),
    (IP_ADAPTER, _from("ip_adapter.", "image_proj.")),
    (LORA, lambda name: "lora" in name.lower()),
    (CONTROLNET, _from(*_CONTROLNET)),
    (CHECKPOINT, _from("model.diffusion_model.")),
    (MOTION, _with("motion_modules.")),
    (VAE, _from("encoder.conv_in.", "decoder.conv_in.", "first_stage_model.")),
    (UNET, _from("time_embedding.", "time_embed.")),
    (TEXT_ENCODER, _with("embeddings.token_embedding.")),
)
"""In this order: a LoRA of motion modules is a LoRA."""


def kind_of(names: Iterable[str]) -> str:
    """What tensors of these names are; "" if it is nothing that a base is made of."""
    known = list(names)
    found = next((kind for kind, own in _KINDS if any(map(own, known))), "")
    if found == LORA and all(name.startswith(_TRANSFORMER) for name in known):
        return TRANSFORMER_LORA
    if found == MOTION and any(name.startswith("conv_in.") for name in known):
        return MOTION_UNET
    return found


WANTED: dict[str, tuple[str, ...]] = {
    "i2v_adapter": (I2V_ADAPTER,),
    "content_adapter": (IP_ADAPTER,),
    "loras": (LORA,),
    "controlnets": (CONTROLNET,),
    "motion_adapter": (MOTION, MOTION_UNET),
    "concatenation_unet": (MOTION_UNET,),
    "vae": (VAE, CHECKPOINT),
}
"""Key of a base -> what a file that is named there holds."""
_NAMES = {
    "i2v_adapter": "*.to_q_ff.weight or *.i2v_adapter.to_q.weight",
    "content_adapter": "ip_adapter.* and image_proj.*",
    "loras": "*.lora_A.weight, *.lora_down.weight or the like",
}
"""Key -> how tensors are named in every such file."""


def check_kind(key: str, file: Path) -> None:
    """Raises EvalError where a file holds something else than its key of the base stands for.

    Args:
        key: of the base, such as ``loras[0]``.
        file: whole, or one whose tensors cannot be told, which is left to its reader.
    """
    plain = key.partition("[")[0]
    wanted, names = WANTED.get(plain, ()), header(file)
    if not wanted or not names:
        return
    found = kind_of(names)
    if found in wanted:
        return
    if found:
        raise EvalError(f"base.{key}: {file} holds {found}, not {wanted[0]}")
    if plain in _NAMES:
        raise EvalError(
            f"base.{key}: {file} is not {wanted[0]}: none of its {len(names)} tensors is named "
            f"{_NAMES[plain]}"
        )
