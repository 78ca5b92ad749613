"""The tiny encoders of the glyph world: the classes of the full-size ones, small configurations."""

from __future__ import annotations


def dino():
    """ViTModel, RGB (N, 3, 64, 64) in [-1, 1] -> CLS features (N, 128)."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=64,
        patch_size=8,
    )
    return ViTModel(config, add_pooling_layer=False)


def clip_config() -> dict:
    """open_clip's `model_cfg` of the CLIP encoder."""
    from eval.world.tokenizer import CONTEXT_LENGTH, WordTokenizer

    vision = {
        "image_size": 64,
        "patch_size": 8,
        "width": 128,
        "layers": 4,
        "head_width": 32,
        "mlp_ratio": 2.0,
    }
    text = {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": len(WordTokenizer()),
        "width": 96,
        "heads": 4,
        "layers": 2,
    }
    return {"embed_dim": 64, "vision_cfg": vision, "text_cfg": {**text, "mlp_ratio": 2.0}}


def clip():
    """open_clip's CLIP on `clip_config()`: RGB (N, 3, 64, 64) in [-1, 1] and token ids (N, 16) ->
    (N, 64).
    """
    from open_clip import CLIP

    return CLIP(**clip_config())


def videomae():
    """VideoMAEForVideoClassification, (N, 8, 3, 64, 64) in [-1, 1] -> logits (N, motions + glyphs),
    in that order.
    """
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    from eval.world.glyphs import GLYPHS
    from eval.world.scenes import MOTIONS

    return VideoMAEForVideoClassification(
        VideoMAEConfig(
            hidden_size=96,
            intermediate_size=192,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=64,
            patch_size=8,
            num_frames=8,
            tubelet_size=2,
            num_labels=len(MOTIONS) + len(GLYPHS),
        )
    )


def style_classifier():
    """ResNetForImageClassification, RGB (N, 3, 64, 64) in [-1, 1] -> logits (N, styles), in the
    order of `STYLES`.
    """
    from transformers import ResNetConfig, ResNetForImageClassification

    from eval.world.styles import STYLES

    config = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 96],
        depths=[1, 1, 1],
        layer_type="basic",
        id2label=dict(enumerate(STYLES)),
        label2id={style: index for index, style in enumerate(STYLES)},
    )
    return ResNetForImageClassification(config)
