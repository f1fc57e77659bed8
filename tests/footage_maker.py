"""Small recordings with a real face in them, made for tests."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, FPS = 960, 540, 10


def crossing(
    path: Path,
    portrait: Path,
    *,
    seconds: float = 8.0,
    visits: tuple[tuple[float, float], ...] = ((1.0, 4.0),),
    px: int = 90,
) -> Path:
    """Write an H.264 recording in which the portrait's face crosses a noisy scene during each of ``visits`` (seconds).

    ``px`` is the width of the face. The portrait is darkened, so that it is not the enrolled picture again.
    """
    rng = np.random.default_rng(1)
    scene = cv2.GaussianBlur(rng.integers(60, 140, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 25)
    noise = [rng.normal(0, 3, scene.shape).astype(np.float32) for _ in range(4)]
    head = _head(portrait, px)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * FPS)):
            at = number / FPS
            picture = scene.astype(np.float32) + noise[number % len(noise)]
            for start, end in visits:
                if start <= at < end:
                    share = (at - start) / (end - start)
                    x, y = round(60 + share * (WIDTH - head.shape[1] - 120)), 150 + round(10 * np.sin(5 * at))
                    picture[y : y + head.shape[0], x : x + head.shape[1]] = head
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _head(portrait: Path, px: int) -> np.ndarray:
    """Return head and shoulders of the 512 x 512 astronaut, the face ``px`` pixels wide."""
    picture = cv2.cvtColor(cv2.imread(str(portrait)), cv2.COLOR_BGR2RGB)[0:300, 90:360]
    scale = px / 95
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * 0.85
