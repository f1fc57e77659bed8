"""Three places with a camera each, drawn in perspective: a forecourt, a corridor and a loading bay at night.

World units are those of the figures (1150 = a person's height). A point at lateral X and height Y above the floor whose
things appear `s` times their size is at (centre + X·s, horizon + (CAMERA - Y)·s) in the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720
CAMERA = 1500
"""Height of every camera above the floor, 1.3 times that of a person."""

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
Corner = tuple[float, float, float]


@dataclass(frozen=True)
class Camera:
    """A camera's place and picture quality."""

    name: str
    draw: Callable[[], tuple[Picture, Picture]]
    """Returns the empty scene (BGR) and the opacity (0-255) of what stands between the camera and the people."""
    horizon: int
    blur: float
    """Softness of people, pixels."""
    noise: float
    """Sensor noise, standard deviation in grey levels."""
    gain: tuple[float, float, float]
    """Factors for blue, green, red that fit people into the scene's light."""
    infrared: bool = False


def place(camera: Camera, x: float, height: float, scale: float) -> tuple[int, int]:
    """Return the pixel of a point of the world."""
    return _point(camera.horizon, (x, height, scale))


def _point(horizon: int, corner: Corner) -> tuple[int, int]:
    x, y, scale = corner
    return round(WIDTH / 2 + x * scale), round(horizon + (CAMERA - y) * scale)


def _face(picture: Picture, horizon: int, corners: list[Corner], colour: Colour | int) -> None:
    points = np.array([_point(horizon, corner) for corner in corners])
    cv2.fillPoly(picture, [points], colour if isinstance(colour, int) else tuple(colour), cv2.LINE_AA)


def _upright(x0: float, x1: float, y0: float, y1: float, scale: float) -> list[Corner]:
    """Corners of a rectangle that faces the camera."""
    return [(x0, y0, scale), (x1, y0, scale), (x1, y1, scale), (x0, y1, scale)]


def _side(x: float, y0: float, y1: float, near: float, far: float) -> list[Corner]:
    """Corners of a rectangle on a wall that runs away from the camera."""
    return [(x, y0, near), (x, y1, near), (x, y1, far), (x, y0, far)]


def _gradient(top: Colour, bottom: Colour) -> Picture:
    step = np.linspace(0, 1, HEIGHT)[:, None, None]
    rows = np.array(top) * (1 - step) + np.array(bottom) * step
    return np.ascontiguousarray(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)), np.uint8)


def _weather(picture: Picture, seed: int, vignette: float) -> Picture:
    """Break up flat colours (stains, uneven light) and darken the corners as a cheap lens does."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(
        rng.normal(1, 0.025, (18, 32)).astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(rng.normal(0, 1, (HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.4) * 0.05 + 1
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    lens = 1 - vignette * (x**2 + y**2) / 2
    lit = picture.astype(np.float32) * (coarse * fine * lens)[..., None]
    return np.asarray(cv2.GaussianBlur(np.clip(lit, 0, 255), (0, 0), 0.8), np.uint8)


def forecourt() -> tuple[Picture, Picture]:
    """Return a paved court before a brick building, with the posts of a gate in front."""
    horizon = 110
    picture = _gradient((226, 210, 190), (214, 208, 200))
    far, near = 0.26, 1.0
    _face(picture, horizon, _upright(-4000, 4000, 0, 1900, far), (86, 104, 142))
    for row in range(0, 1900, 95):
        y = _point(horizon, (0, row, far))[1]
        cv2.line(picture, (0, y), (WIDTH, y), (98, 116, 152), 1)
    for x in range(-2300, 2300, 900):
        if abs(x + 150) > 350:
            _face(picture, horizon, _upright(x, x + 520, 420, 1350, far), (70, 62, 58))
            _face(picture, horizon, _upright(x + 30, x + 245, 450, 1320, far), (168, 150, 128))
            _face(picture, horizon, _upright(x + 275, x + 490, 450, 1320, far), (150, 134, 116))
    _face(picture, horizon, _upright(-560, 360, 0, 1500, far), (64, 60, 58))
    for x in (-520, -90):
        _face(picture, horizon, _upright(x, x + 400, 20, 1420, far), (132, 122, 104))
    _face(picture, horizon, [(-9000, 0, far), (9000, 0, far), (9000, 0, near), (-9000, 0, near)], (150, 154, 156))
    for x in range(-9000, 9001, 500):
        cv2.line(picture, _point(horizon, (x, 0, far)), _point(horizon, (x, 0, near)), (132, 136, 140), 1, cv2.LINE_AA)
    for scale in far / np.linspace(1, far / near, 16):
        y = _point(horizon, (0, 0, scale))[1]
        cv2.line(picture, (0, y), (WIDTH, y), (136, 140, 143), 1)
    for x in (-1500, 1500):
        _face(picture, horizon, _upright(x - 40, x + 40, 0, 700, 0.42), (60, 70, 74))
        _face(picture, horizon, _upright(x - 40, x + 40, 560, 640, 0.42), (80, 190, 225))
    cover = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x in (-640, 400):
        for canvas, body, cap in ((picture, (96, 98, 102), (52, 54, 58)), (cover, 255, 255)):
            _face(canvas, horizon, _upright(x, x + 260, 0, 1010, 1.02), body)
            _face(canvas, horizon, _upright(x - 14, x + 274, 985, 1020, 1.02), cap)
    for canvas, colour in ((picture, (60, 60, 190)), (cover, 255)):
        _face(canvas, horizon, _upright(-380, 400, 930, 956, 1.02), colour)
    return _weather(picture, 1, 0.25), cover


def corridor() -> tuple[Picture, Picture]:
    """Return an office corridor with doors, lamps and a noticeboard; nothing stands in front."""
    horizon, far, near, wall, top = 150, 0.16, 2.4, 900, 2050
    picture = _gradient((176, 182, 184), (176, 182, 184))
    _face(
        picture, horizon, [(-wall, top, far), (wall, top, far), (wall, top, near), (-wall, top, near)], (206, 210, 210)
    )
    _face(picture, horizon, [(-wall, 0, far), (wall, 0, far), (wall, 0, near), (-wall, 0, near)], (120, 132, 140))
    _face(picture, horizon, _side(-wall, 0, top, near, far), (186, 196, 200))
    _face(picture, horizon, _side(wall, 0, top, near, far), (170, 181, 186))
    _face(picture, horizon, _upright(-wall, wall, 0, top, far), (150, 160, 166))
    _face(picture, horizon, _upright(-420, 420, 0, 1500, far), (112, 96, 78))
    _face(picture, horizon, _upright(-380, -20, 60, 1440, far), (214, 206, 190))
    _face(picture, horizon, _upright(20, 380, 60, 1440, far), (208, 200, 184))
    for scale in far / np.linspace(1, far / near, 26):
        cv2.line(
            picture,
            _point(horizon, (-wall, 0, scale)),
            _point(horizon, (wall, 0, scale)),
            (108, 119, 127),
            1,
            cv2.LINE_AA,
        )
    for x in range(-wall, wall + 1, 300):
        cv2.line(picture, _point(horizon, (x, 0, far)), _point(horizon, (x, 0, near)), (110, 121, 129), 1, cv2.LINE_AA)
    for x in (-wall, wall):
        _face(picture, horizon, _side(x, 0, 110, near, far), (104, 112, 118))
    for a, b in ((1.5, 0.78), (0.52, 0.4), (0.3, 0.25), (0.215, 0.19)):
        for x, colour in ((-wall, (84, 112, 142)), (wall, (78, 104, 132))):
            _face(picture, horizon, _side(x, 0, 1430, a, b), (120, 126, 128))
            _face(picture, horizon, _side(x, 0, 1390, a * 0.97, b * 1.03), colour)
    for a, b in ((1.1, 0.8), (0.5, 0.42), (0.31, 0.275), (0.225, 0.205)):
        _face(picture, horizon, [(-260, top, a), (260, top, a), (260, top, b), (-260, top, b)], (248, 250, 250))
        _face(picture, horizon, [(-200, 0, a), (200, 0, a), (200, 0, b), (-200, 0, b)], (136, 148, 155))
    _face(picture, horizon, _side(wall, 900, 1400, 0.72, 0.56), (96, 130, 164))
    for k in range(5):
        near_edge = 0.7 - k * 0.027
        _face(picture, horizon, _side(wall, 960 + 60 * (k % 2), 1300, near_edge, near_edge - 0.02), (226, 228, 222))
    return _weather(picture, 2, 0.3), np.zeros((HEIGHT, WIDTH), np.uint8)


def loading_bay() -> tuple[Picture, Picture]:
    """Return a loading bay lit by the camera's own infrared lamp: grey, dark at the edges."""
    horizon, far, near = 130, 0.3, 1.4
    picture = _gradient((52, 52, 52), (64, 64, 64))
    _face(picture, horizon, _upright(-4000, 4000, 0, 2200, far), (74, 74, 74))
    _face(picture, horizon, [(-9000, 0, far), (9000, 0, far), (9000, 0, near), (-9000, 0, near)], (92, 92, 92))
    _face(picture, horizon, _upright(-900, 700, 0, 1700, far), (104, 104, 104))
    for y in range(0, 1700, 85):
        cv2.line(picture, _point(horizon, (-900, y, far)), _point(horizon, (700, y, far)), (86, 86, 86), 2)
    _face(picture, horizon, _upright(1050, 1600, 0, 1420, far), (60, 60, 60))
    _face(picture, horizon, _upright(-1900, -1250, 0, 900, far), (122, 122, 122))
    for x, scale in ((-1250, 0.42), (-1080, 0.46)):
        for step in range(3):
            _face(
                picture, horizon, _upright(x - 420, x + 120, step * 260, step * 260 + 235, scale), (118 - 9 * step,) * 3
            )
            _face(picture, horizon, _upright(x - 420, x + 120, step * 260 + 100, step * 260 + 125, scale), (78, 78, 78))
    for x in (-1000, 800):
        _face(picture, horizon, _upright(x - 35, x + 35, 0, 620, 0.36), (158, 158, 158))
        _face(picture, horizon, _upright(x - 35, x + 35, 420, 520, 0.36), (40, 40, 40))
    for x in (-700, 500):
        line = [(x, 0, far), (x + 60, 0, far), (x + 60, 0, near), (x, 0, near)]
        _face(picture, horizon, [(a, b, c) for a, b, c in line], (140, 140, 140))
    y, x_ = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    lamp = 0.55 + 0.75 * np.exp(-(x_**2 * 1.6 + (y + 0.1) ** 2 * 1.2))
    lit = np.clip(picture * lamp[..., None], 0, 255).astype(np.uint8)
    return _weather(lit, 3, 0.35), np.zeros((HEIGHT, WIDTH), np.uint8)


CAMERAS = {
    camera.name: camera
    for camera in (
        Camera("Gate", forecourt, 110, blur=0.7, noise=3.0, gain=(1.0, 0.98, 0.96)),
        Camera("Hall", corridor, 150, blur=0.8, noise=3.5, gain=(0.86, 0.9, 0.94)),
        Camera("Loading bay", loading_bay, 130, blur=0.9, noise=4.0, gain=(0.8, 0.8, 0.8), infrared=True),
    )
}
