"""Settings that save time on a base, each against the pipeline called by hand."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from eval.errors import EvalError
from eval.plan.planning import make_plan
from tests.eval.methods.bases.test_on_base import method
from tests.eval.methods.bases.test_options import by_hand, frames


def test_shortcuts_of_one_cell_leave_the_next_alone(base, sd15, photographs):
    from i2v_adapter import FrameSimilarityPrior

    prior = FrameSimilarityPrior(1.0, 0.5)
    plain = frames(base(), photographs[0])
    settings = {"reuse_every": 2, "reuse_layers": 2, "guidance_interval": [0, 0.5]}
    made = frames(base(), photographs[0], **settings)
    expected = by_hand(
        sd15,
        photographs[0],
        lambda pipeline: pipeline.enable_feature_reuse(2, 2),
        guidance_interval=(0, 0.5),
        prior=prior,
    )
    assert np.array_equal(made, expected)
    assert not np.array_equal(made, plain)
    rounded = frames(base(fp8=True), photographs[0])
    expected = by_hand(
        sd15, photographs[0], lambda pipeline: pipeline.enable_fp8_storage(), prior=prior
    )
    assert np.array_equal(rounded, expected)
    assert not np.array_equal(rounded, plain)
    assert np.array_equal(frames(base(), photographs[0]), plain)


@pytest.mark.parametrize("family", ["text-to-video", "channel-concatenation"])
def test_guidance_in_no_step_is_no_guidance_without_the_adapter_too(
    base, widened, photographs, family
):
    document = base(concatenation_unet=str(widened / "seeing"))
    unguided = frames(document, photographs[0], family, guidance_scale=1.0)
    call = {"guidance_interval": [0.0, 0.01]}  # no step of these few
    np.testing.assert_array_equal(frames(document, photographs[0], family, call=call), unguided)
    assert not np.array_equal(frames(document, photographs[0], family), unguided)


def test_feature_reuse_on_a_base_compiled_as_a_whole_is_refused_with_the_plan(
    base, photographs, write_images, tmp_path
):
    def plan(every, **changes):
        suite = {
            "name": "mine",
            "samples": {"source": "manifest", "path": write_images(tmp_path, photographs).name},
            "base": base(**changes),
            "methods": [{"method": "i2v-adapter-alone", "settings": {"reuse_every": every}}],
            "metrics": ["flicker.pixels.v1"],
        }
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(suite))
        return make_plan(path)

    plan(2)
    plan(1, compile=True)
    with pytest.raises(EvalError, match=r"reuse_every: 2 needs .* set base\.compile to false"):
        plan(2, compile=True)


def test_weights_in_8_bits_have_another_fingerprint(base):
    def found(**changes):
        return method(base(**changes), "i2v-adapter-alone").fingerprint()

    assert found(fp8=False) == found()
    assert found(fp8=True) != found()
