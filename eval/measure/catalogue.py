"""Which metrics exist: every definition with every encoder of its kind, found by id.

A definition is built in (`eval.metrics`), comes from an installed package by an entry point of the
group ``i2v_eval.metrics``, or is one's own and named ``module:name``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from eval.encoders import (
    EMBEDDED,
    SCHEMES,
    encoder_change,
    encoder_kind,
    encoder_revision,
    named_encoders,
)
from eval.errors import EvalError, nearest
from eval.io.registry import import_own, installed, place_of
from eval.measure.judges import is_judged, judged, judged_metric, judged_metrics
from eval.metrics.definitions import BUILT_IN, Definition, Metric, Registered
from eval.metrics.lookup import (
    load_package,
    make_plain,
    newest_version,
    own_metric,
    plain_metrics,
    registered_versions,
)
from eval.metrics.views import OWN_PREPROCESSING
from eval.samples import VBENCH_LABEL
from eval.world import truth  # noqa: F401  for the metrics that it registers

if TYPE_CHECKING:
    from eval.samples import Sample

ENTRY_POINTS = "i2v_eval.metrics"


@cache
def _load_all() -> None:
    load_package()
    for name, target in installed(ENTRY_POINTS).items():
        module = target.partition(":")[0]
        import_own(module, f"metric '{name}' of the entry point {target}")
        make_plain(name, f"{module}:{name}")


def definitions() -> dict[str, Definition]:
    """All definitions that have a plain name, in the order in which tables show them."""
    _load_all()
    return {name: found.definition for name, found in plain_metrics().items()}


def find_definition(name: str) -> Registered:
    """The newest definition with this name, and its formula; `registered` is that of a metric.

    Args:
        name: a plain name, or ``module:name``; the module is imported.

    Raises:
        EvalError: an unknown name, with the nearest one, or a module that cannot be imported.
    """
    if ":" in name:
        return _own(name)
    if is_judged(name):
        return judged(name)
    _load_all()
    plain = plain_metrics()
    if name not in plain:
        raise EvalError(
            f"unknown definition {name!r}; allowed: {', '.join(plain)}, or module:name."
            f"{nearest(name, plain)}"
        )
    return plain[name]


def registered(metric: Metric) -> Registered:
    """The definition and the formula that a metric names.

    Raises:
        EvalError: as `find_definition`, or no such version.
    """
    found = find_definition(metric.family)
    if is_judged(metric.family):
        return found
    return _versions(metric.family, metric.encoder)[metric.version]


def applies(metric: Metric, sample: Sample) -> bool:
    """Whether a metric is about a sample; there is no value where it is not.

    VBench measures each of its dimensions on some of its entries: samples with the label
    `eval.samples.VBENCH_LABEL` have values of the dimensions that it lists.
    """
    listed, dimension = sample.truth.get(VBENCH_LABEL), metric.family.removeprefix("vbench.")
    if listed is not None and dimension != metric.family and dimension not in str(listed).split():
        return False
    if not metric.selective:
        return True
    about = registered(metric).definition.about
    return about is None or about(sample)


def _versions(name: str, encoder: str) -> dict[str, Registered]:
    """The versions of a metric with an encoder, as they are numbered in its id.

    A version is frozen: where the encoder's preprocessing was revised since, a version that leaves
    the preprocessing to the encoder is gone, and the newest such definition counts as the next
    version. Versions of one's own metrics are their author's to change.
    """
    known = registered_versions(name)
    newest = newest_version(known)
    found: dict[str, Registered] = {}
    for version, one in known.items():
        built_in = one.module.startswith(BUILT_IN)
        stale = built_in and encoder_revision(encoder) > one.definition.encoder_revision
        if not (stale and one.definition.view in OWN_PREPROCESSING):
            found[version] = one
        elif version == newest:
            found[f"v{int(version.removeprefix('v')) + 1}"] = one
    return found


def _own(reference: str) -> Registered:
    module_name, _, name = reference.partition(":")
    module = import_own(module_name, f"metric '{reference}'")
    found = own_metric(reference)
    if found is None:
        raise EvalError(
            f"metric '{reference}': '{module_name}' registers no metric '{name}' (it is "
            f"{place_of(module)}); decorate its formula with eval.metric"
        )
    return found


def parse_metric(id: str) -> Metric:
    """The metric with this id.

    Args:
        id: ``<name>.<encoder>.<version>``; of a learned judge ``judge.<name>.<dimension>``. A
            metric of one's own has the name ``module:name``; its encoder and version may be left
            out where there is one encoder to choose.

    Raises:
        EvalError: the id does not have three parts, or names an unknown definition, encoder or
            version, or an encoder of another kind than the definition reads. The message lists what
            is allowed and the nearest valid name.

    Examples:
        >>> parse_metric("identity.dino_vits16.v2").unit
        'cosine'
        >>> parse_metric("vbench.i2v_subject.dino:facebook/dino-vitb16.v2").encoder
        'dino:facebook/dino-vitb16'
    """
    if is_judged(id):
        return judged_metric(id)
    found, rest = _split(id)
    definition = found.definition
    if not rest:
        encoder = _only_encoder(id, definition)
        versions = _versions(definition.name, encoder)
        newest = newest_version(versions)
        return _metric(versions[newest].definition, encoder, newest)
    encoder, version = _encoder_and_version(definition.name, rest)
    _check_encoder(id, definition, encoder)
    versions = _versions(definition.name, encoder)
    if version in versions:
        return _metric(versions[version].definition, encoder, version)
    known = registered_versions(definition.name)
    if version in known:
        newest = newest_version(versions)
        changed = "; its definition was corrected too" if newest in known else ""
        raise EvalError(
            f"metric {id!r}: {version} is no longer measured: {encoder_change(encoder)}{changed}. "
            f"Use {definition.name}.{encoder}.{newest}"
        )
    hint = nearest(version, list(versions))
    raise EvalError(
        f"metric {id!r}: unknown version {version!r}; allowed: {', '.join(versions)}.{hint}"
    )


def _encoder_and_version(name: str, rest: str) -> tuple[str, str]:
    """What follows the name of an id, split: a variant's version has two parts, ``noaa.v1``."""
    for version in registered_versions(name):
        if "." in version and rest.endswith(f".{version}"):
            return rest.removesuffix(f".{version}"), version
    encoder, _, version = rest.rpartition(".")
    return encoder, version


def is_own(id: str) -> bool:
    """Whether the id names a metric of the user's own, ``module:name``: its module must be
    imported."""
    head = id.partition(":")[0]
    return ":" in id and not any(head.startswith(f"{name}.") for name in definitions())


def _split(id: str) -> tuple[Registered, str]:
    """The definition, and what follows its name: ``<encoder>.<version>`` or nothing."""
    if is_own(id):
        module, _, rest = id.partition(":")
        parts = rest.split(".")
        import_own(module, f"metric '{id}'")
        for count in (2, 1):  # a name may have two parts, as 'vbench.i2v_subject' has
            reference = f"{module}:{'.'.join(parts[:count])}"
            if count == 1 or own_metric(reference):
                return _own(reference), ".".join(parts[count:])
    plain = definitions()
    named, _, version = id.rpartition(".")
    name = max((name for name in plain if named.startswith(f"{name}.")), key=len, default=None)
    if name is not None:
        return find_definition(name), f"{named.removeprefix(f'{name}.')}.{version}"
    if named.count(".") < 1:
        raise EvalError(
            f"metric {id!r}: expected <family>.<encoder>.<version>, or module:name for one's own."
            f"{nearest(id, [metric.id for metric in catalogue()])}"
        )
    publishers = {known.split(".")[0] for known in plain if "." in known}
    first, second = named.split(".")[:2]
    wrong = f"{first}.{second}" if first in publishers else first
    raise EvalError(
        f"metric {id!r}: unknown family {wrong!r}; `i2v-eval metrics` lists them."
        f"{nearest(wrong, list(plain))}"
    )


def _only_encoder(id: str, definition: Definition) -> str:
    if definition.published:
        return definition.published
    fitting = [name for name, entry in named_encoders().items() if entry.kind == definition.kind]
    if len(fitting) != 1:
        raise EvalError(
            f"metric {id!r}: name its encoder and version, as in "
            f"{id}.{fitting[0] if fitting else 'ENCODER'}.{definition.versions[-1]}; encoders of "
            f"kind {definition.kind!r}: {', '.join(fitting) or 'none'}"
        )
    return fitting[0]


def _check_encoder(id: str, definition: Definition, encoder: str) -> None:
    kind = encoder_kind(encoder)
    if kind == definition.kind:
        return
    allowed = [name for name, entry in named_encoders().items() if entry.kind == definition.kind]
    schemes = [f"{name}:..." for name, scheme in SCHEMES.items() if scheme.kind == definition.kind]
    state = f"is of kind {kind!r}, not {definition.kind!r}" if kind else "is unknown"
    raise EvalError(
        f"metric {id!r}: encoder {encoder!r} {state}; allowed: {', '.join(allowed + schemes)}."
        f"{nearest(encoder, allowed)}"
    )


def _metric(definition: Definition, encoder: str, version: str) -> Metric:
    return Metric(
        id=f"{definition.name}.{encoder}.{version}",
        family=definition.name,
        encoder=encoder,
        version=version,
        scope=definition.scope,
        unit=definition.unit,
        higher_is_better=definition.higher_is_better,
        description=definition.description,
        source=definition.source,
        view=definition.view,
        truth=definition.truth,
        needs=definition.needs,
        selective=definition.about is not None,
    )


def catalogue(*, superseded: bool = True) -> list[Metric]:
    """Every definition in each version with each named encoder of its kind. A published protocol is
    listed with the encoder that it was published with, with those of this package, and with those
    that its definition names besides (`Definition.also`).

    Args:
        superseded: also the versions that a newer one takes the place of; variants (``noaa.v1``)
            are there in any case.

    Examples:
        >>> [metric.id for metric in catalogue()][:2]
        ['identity.dino_glyph.v1', 'identity.dino_vits16.v2']
    """
    found = []
    for name, definition in definitions().items():
        for encoder, entry in named_encoders().items():
            if entry.kind != definition.kind:
                continue
            versions = _versions(name, encoder)
            newest = newest_version(versions)
            found += [
                _metric(one.definition, encoder, version)
                for version, one in versions.items()
                if superseded or "." in version or version == newest
                if one.definition.published in (None, encoder)
                or encoder in one.definition.also
                or (encoder in EMBEDDED and one.definition.published == definition.published)
            ]
    return [*found, *judged_metrics()]
