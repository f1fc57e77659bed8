"""The models of one worker, and what they say of one face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.engines.local import models
from vidsearch.engines.local.detect import BlazeFace, Detector
from vidsearch.engines.local.embed import Embedder
from vidsearch.engines.local.own_detector import OnnxDetector
from vidsearch.engines.local.verify import Verifier

Pixels = NDArray[np.uint8]

DETECT_FROM = 0.55
"""Least detector score in recordings. At 0.5 it has five times the false alarms, at 0.6 it loses every tenth face of
20 px (docs/local-engine.md)."""

DETECT_IN_PHOTOS_FROM = 0.45
"""The same in photos, which are asked one by one and where every face is verified."""


class Faces:
    """Detector, verifier and embedder. Not for several threads at once."""

    def __init__(self, folder: Path, threshold: float, detector: str = "", embedder: str = "") -> None:
        """Load the models of a folder; ``detector`` and ``embedder`` are a site's own (paths), or empty.

        Raises ModelMissing, EngineError.
        """
        models.require(folder)
        self.detector: Detector = (
            OnnxDetector(Path(detector), threshold) if detector else BlazeFace(folder / models.DETECTOR, threshold)
        )
        self.verifier = Verifier(folder / models.VERIFIER)
        self.embedder = Embedder(
            Path(embedder) if embedder else folder / models.EMBEDDER, folder / models.LANDMARKS, own=bool(embedder)
        )
