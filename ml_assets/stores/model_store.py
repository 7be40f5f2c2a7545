"""Fitted models as data: files whose sha256 is checked before anything is read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_assets.spec.extensions import MODEL_KINDS, extensions
from ml_assets.spec.model import TrainingRecipe
from ml_assets.stores.landing import write_whole
from ml_assets.stores.unchanged import folder_marks
from ml_assets.training.applicability_domain import Envelope
from ml_assets.training.estimators import FittedModel, load_model
from ml_assets.training.intervals import FittedQuantiles

_MANIFEST = "manifest.json"
_OBJECTIVE = "objective_"  # before its name, the part of a bundle that holds it
_INTERVALS = "intervals"
_ABANDONED = "abandoned.txt"
_MOST_LOADED = 4  # bundles in memory: the champion, the first one, two shadows


class TamperedModelError(RuntimeError):
    """Files of a model that are not the ones that were recorded."""


@dataclass(frozen=True)
class JudgedParts:
    """Model and baseline before they were fitted again on all rows: what has not seen the holdout."""

    trained_until: str
    model: FittedModel
    baseline: FittedModel
    intervals: FittedQuantiles | None = None


@dataclass(frozen=True)
class UnseenDay:
    """Log loss of a drop's rows that the model had not seen when it scored them: how it did before it served.

    `loss` is their mean and `variance` that between them; `margin` is the mean of loss less the baseline's on the same
    rows, `residual` that of label less score, each with the variance between rows. NaN where an older version of
    ml_assets did not record it.
    """

    drop: str
    n: int
    loss: float
    variance: float
    margin: float = float("nan")
    margin_variance: float = float("nan")
    residual: float = float("nan")
    residual_variance: float = float("nan")


@dataclass(frozen=True)
class ModelBundle:
    """A model, the baseline fitted on the same rows, and all that decided them.

    Attributes
    ----------
    as_of
        The drop whose batch bounded what was known.
    trained_until
        The newest `prediction_at` that may be among the training rows, UTC, ISO 8601.
    training_set_hash
        Content hash of the training set.
    recipe
        What made the model of its training rows, cut down to the candidates it needed.
    features
        The columns of the training set that were offered to it.
    started_from
        Version of the model that a warm start went on from; None when trained anew.
    envelope
        The inputs it scores; None when it scores any.
    objectives
        By name, what foretells an amount beside the score.
    intervals
        The bounds of its predictions; None without.
    judged
        What the gate judged, where the model was fitted again afterwards; None where the model itself was judged.
    unseen_days
        How it did on windows ahead of its training rows and on the holdout, by drop.
    """

    as_of: str
    candidate: str
    trained_until: str
    training_set_hash: str
    recipe: TrainingRecipe
    features: tuple[str, ...]
    model: FittedModel
    baseline: FittedModel
    envelope: Envelope | None = None
    started_from: str | None = None
    objectives: Mapping[str, FittedModel] = field(default_factory=dict[str, FittedModel])
    intervals: FittedQuantiles | None = None
    judged: JudgedParts | None = None
    unseen_days: tuple[UnseenDay, ...] = ()

    @property
    def judged_model(self) -> FittedModel:
        """What the gate judges: the model before it was fitted again, or the model."""
        return self.model if self.judged is None else self.judged.model

    @property
    def judged_baseline(self) -> FittedModel:
        """The baseline beside it."""
        return self.baseline if self.judged is None else self.judged.baseline

    @property
    def judged_intervals(self) -> FittedQuantiles | None:
        """The bounds that the gate judges."""
        return self.intervals if self.judged is None else self.judged.intervals

    @property
    def judged_until(self) -> str:
        """The newest `prediction_at` that the judged model may have learned from."""
        return self.trained_until if self.judged is None else self.judged.trained_until


@dataclass(frozen=True)
class StoredModel:
    """Where a bundle was put: its version, made of what it is, and the sha256 of its manifest."""

    model_version: str
    artifact_sha256: str
    folder: Path


class ModelStore:
    """The models of one use case, under `folder`. The `most_loaded` bundles that were loaded last stay in memory."""

    def __init__(self, folder: Path, most_loaded: int = _MOST_LOADED) -> None:
        self.folder = folder
        self._most_loaded = most_loaded
        self._loaded: OrderedDict[tuple[str, str], tuple[Hashable, ModelBundle]] = OrderedDict()

    def save(self, bundle: ModelBundle) -> StoredModel:
        """Keep a bundle; the same content has the same version, and is kept once."""
        parts: dict[str, FittedModel] = {"model": bundle.model, "baseline": bundle.baseline}
        if bundle.judged is not None:
            parts |= {"judged_model": bundle.judged.model, "judged_baseline": bundle.judged.baseline}
            parts |= {} if bundle.judged.intervals is None else {f"judged_{_INTERVALS}": bundle.judged.intervals}
        parts |= {} if bundle.intervals is None else {_INTERVALS: bundle.intervals}
        parts |= {f"{_OBJECTIVE}{name}": model for name, model in bundle.objectives.items()}
        files = {
            f"{part}/{name}": content for part, model in parts.items() for name, content in model.to_files().items()
        }
        if bundle.envelope is not None:
            files |= {f"envelope/{name}": content for name, content in bundle.envelope.to_files().items()}
        manifest: dict[str, Any] = {
            "as_of": bundle.as_of,
            "candidate": bundle.candidate,
            "trained_until": bundle.trained_until,
            "training_set_hash": bundle.training_set_hash,
            "recipe": bundle.recipe.recorded(),
            "features": list(bundle.features),
            "started_from": bundle.started_from,
            "judged_until": None if bundle.judged is None else bundle.judged.trained_until,
            "unseen_days": [list(astuple(each)) for each in bundle.unseen_days],
            "libraries": installed_libraries(),
            "kinds": {part: model.kind for part, model in parts.items()},
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
        }
        files[_MANIFEST] = json.dumps(manifest, sort_keys=True, indent=1).encode()
        sha256 = hashlib.sha256(files[_MANIFEST]).hexdigest()
        stored = self._place(bundle.as_of, bundle.candidate, sha256)
        if _holds(stored.folder, files):
            (stored.folder / _ABANDONED).unlink(missing_ok=True)  # made again, it is on its way to a verdict
        else:
            _write_folder(stored.folder, files)
        return stored

    def load(self, model_version: str, artifact_sha256: str) -> ModelBundle:
        """Read a bundle back, or give the one that was read while its files have not changed since.

        Raises
        ------
        TamperedModelError
            If the manifest or a file it names is missing or has another sha256 than recorded.
        ValueError
            If a file is as recorded and still cannot be read, such as one that an older version of ml_assets wrote.
        """
        name, marks = (model_version, artifact_sha256), folder_marks(self.folder / model_version)
        found = self._loaded.pop(name, None)
        bundle = found[1] if found is not None and found[0] == marks else self._read(model_version, artifact_sha256)
        self._loaded[name] = (marks, bundle)
        while len(self._loaded) > self._most_loaded:
            self._loaded.popitem(last=False)
        return bundle

    def _read(self, model_version: str, artifact_sha256: str) -> ModelBundle:
        folder = self.folder / model_version
        content = _read_checked(folder / _MANIFEST, artifact_sha256)
        manifest = json.loads(content)
        files: dict[str, dict[str, bytes]] = {"envelope": {}, **{part: {} for part in manifest["kinds"]}}
        for name, sha256 in manifest["files"].items():
            part, _, bare = name.partition("/")
            files[part][bare] = _read_checked(folder / name, sha256)
        models = {part: _load_part(folder / part, kind, files[part]) for part, kind in manifest["kinds"].items()}
        return ModelBundle(
            as_of=manifest["as_of"],
            candidate=manifest["candidate"] if "candidate" in manifest else manifest["rung"],
            trained_until=manifest["trained_until"],
            training_set_hash=manifest["training_set_hash"],
            recipe=TrainingRecipe.model_validate(manifest["recipe"]),
            features=tuple(manifest["features"]),
            model=models["model"],
            baseline=models["baseline"],
            envelope=Envelope.from_files(files["envelope"]) if files["envelope"] else None,
            started_from=manifest["started_from"],
            objectives={
                part.removeprefix(_OBJECTIVE): model for part, model in models.items() if part.startswith(_OBJECTIVE)
            },
            intervals=_quantiles(models.get(_INTERVALS)),
            judged=JudgedParts(
                manifest["judged_until"],
                models["judged_model"],
                models["judged_baseline"],
                _quantiles(models.get(f"judged_{_INTERVALS}")),
            )
            if manifest.get("judged_until")
            else None,
            unseen_days=tuple(UnseenDay(*each) for each in manifest.get("unseen_days", ())),
        )

    def verify(self, model_version: str, artifact_sha256: str) -> None:
        """Raise TamperedModelError as `load` does, without making models of the files."""
        folder = self.folder / model_version
        for name, sha256 in json.loads(_read_checked(folder / _MANIFEST, artifact_sha256))["files"].items():
            _read_checked(folder / name, sha256)

    def unseen_days(self, model_version: str) -> tuple[UnseenDay, ...]:
        """Give how a model did before it served, without reading the model; none of one that recorded nothing."""
        return tuple(UnseenDay(*each) for each in self.manifest(model_version).get("unseen_days", ()))

    def manifest(self, model_version: str) -> dict[str, Any]:
        """Read what is written of a model, unchecked: for people."""
        return json.loads((self.folder / model_version / _MANIFEST).read_bytes())

    def written_at(self) -> dict[str, datetime]:
        """Give when the files of each model that is there were written, by version."""
        folders = [folder for folder in self.folder.glob("*/") if (folder / _MANIFEST).exists()]
        return {each.name: datetime.fromtimestamp((each / _MANIFEST).stat().st_mtime, UTC) for each in folders}

    def remove(self, model_version: str, *, is_dry_run: bool = False) -> list[int]:
        """Remove the files of a model and give their sizes."""
        folder = self.folder / model_version
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        if not is_dry_run:
            shutil.rmtree(folder)
        return sizes

    def mark_abandoned(self, recorded: Collection[str]) -> list[str]:
        """Mark the models that no record names, once, and name them; what is recorded again loses the mark."""
        found: list[str] = []
        for folder in sorted(self.folder.glob("*/")):
            mark = folder / _ABANDONED
            if folder.name in recorded:
                mark.unlink(missing_ok=True)
            elif not folder.name.startswith(".") and not mark.exists():
                write_whole(mark, b"no verdict on this model was recorded\n")
                found.append(folder.name)
        return found

    def _place(self, as_of: str, candidate: str, sha256: str) -> StoredModel:
        version = f"{as_of}-{candidate}-{sha256[:10]}"
        return StoredModel(version, sha256, self.folder / version)


def _quantiles(part: FittedModel | None) -> FittedQuantiles | None:
    return part if isinstance(part, FittedQuantiles) else None


def _load_part(folder: Path, kind: str, files: Mapping[str, bytes]) -> FittedModel:
    """Make a model of the files under `folder`; a ValueError names the folder too."""
    try:
        return load_model(kind, files)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def installed_libraries() -> dict[str, str]:
    """The versions that decide the bytes of a model, those of packages that add kinds of models too."""
    from importlib.metadata import version

    added = {each.dist.name: each.dist.version for each in extensions(MODEL_KINDS).values() if each.dist is not None}
    return {name: version(name) for name in ("numpy", "scikit-learn", "scipy", "xgboost")} | added


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Say whether the folder has exactly these files' contents; a damaged one is written again."""
    try:
        return all((folder / name).read_bytes() == content for name, content in files.items())
    except OSError:
        return False


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    for name, content in files.items():
        path = temporary / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise TamperedModelError(f"{path}: the file is gone; its model cannot serve") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise TamperedModelError(f"{path}: found sha256 {found}; recorded when the gate saw it: {sha256}")
    return content
