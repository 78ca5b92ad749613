"""What the frozen models make of clips, against each model asked by hand."""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from i2v_adapter import I2VAdapterPipeline
from i2v_adapter.training.dataset import TrainingClip
from i2v_adapter.training.frozen_models import encoder


@torch.no_grad()
def test_a_batch_against_its_parts(
    pipeline: I2VAdapterPipeline, load_content_adapter: Callable[[I2VAdapterPipeline], None]
) -> None:
    load_content_adapter(pipeline)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
    clips = [TrainingClip(frames[0], "a cat", False, 5), TrainingClip(frames[1], "", True, 6)]
    batch = encoder(pipeline)(clips)

    for row, clip in enumerate(clips):
        pixels = torch.from_numpy(clip.frames.astype(np.float32) / 255 * 2 - 1).permute(0, 3, 1, 2)
        posterior = pipeline.vae.encode(pixels).latent_dist
        noise = torch.randn(
            posterior.mean.shape, generator=torch.Generator().manual_seed(clip.seed)
        )
        latents = (posterior.mean + posterior.std * noise) * pipeline.vae.config.scaling_factor
        torch.testing.assert_close(
            batch["latents"][row].transpose(0, 1), latents, rtol=1e-4, atol=1e-5
        )

        tokens = pipeline.tokenizer(clip.text, padding="max_length", return_tensors="pt").input_ids
        text = pipeline.text_encoder(tokens).last_hidden_state[0]
        torch.testing.assert_close(batch["encoder_hidden_states"][row], text, rtol=1e-4, atol=1e-5)

        seen = pipeline.feature_extractor(
            Image.fromarray(clip.frames[0]), return_tensors="pt"
        ).pixel_values
        seen = torch.zeros_like(seen) if clip.image_dropped else seen
        features = pipeline.image_encoder(seen, output_hidden_states=True).hidden_states[-2][0]
        torch.testing.assert_close(
            batch["added_cond_kwargs"]["image_embeds"][0][row, 0], features, rtol=1e-4, atol=1e-5
        )
