"""DOVER's technical quality score, as its loader gives it."""

from eval.metrics.definitions import Definition, Features, metric


@metric(
    Definition(
        name="dover.technical",
        kind="quality",
        unit="raw score",
        higher_is_better=True,
        description="Raw output of DOVER's technical head, by the loader that is installed.",
        source="Wu et al. 2023 (DOVER); the paper's DoverVQA is probably this head",
        published="dover_technical",
        caution="Trained on user videos; it has not seen what generators get wrong.",
        cannot_see="What a clip is meant to show.",
    ),
)
def _technical(features: Features) -> float:
    return features.quality()
