"""People for the demo recording: a real portrait cut out of its background, and strangers built around tiny faces.

Every figure is 512 x 1150 "body units" standing upright, feet at the bottom; one body unit is 1.5 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 512, 1150
GAIT = 4
"""Pictures of one step."""
_HIP, _KNEE = 500, 820

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Sprite:
    """A figure at one size: BGR picture and opacity (float32, 0-1, one channel)."""

    picture: NDArray[np.uint8]
    opacity: NDArray[np.float32]


@dataclass
class Figure:
    """One person in the pictures of a step, scaled on demand."""

    poses: list[Sprite]
    _scaled: dict[tuple[int, int, bool, float], Sprite] = field(default_factory=dict)

    def at(self, scale: float, pose: int, mirror: bool, blur: float) -> Sprite:
        """Return the figure `scale` times its size, softened by `blur` pixels as a lens would."""
        key = (round(scale * 100), pose % GAIT, mirror, blur)
        if key not in self._scaled:
            self._scaled[key] = _scaled(self.poses[pose % GAIT], key[0] / 100, mirror, blur)
        return self._scaled[key]


def enrolled(picture: NDArray[np.uint8]) -> Figure:
    """Return the person of the portrait, standing."""
    orange: Colour = (38, 78, 205)
    top = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    top[:512] = picture
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:512] = cut_out(picture)
    hem = np.full((HEIGHT, WIDTH), 0, np.uint8)
    cv2.fillPoly(hem, [np.array([(0, 0), (512, 0), (512, 470), (470, 505), (256, 511), (60, 500), (0, 440)])], 255)
    mask *= cv2.GaussianBlur(hem, (0, 0), 4).astype(np.float32) / 255
    return Figure([_standing(top, mask, orange, (40, 40, 44), pose) for pose in range(GAIT)])


def stranger(face: NDArray[np.float64], seed: int) -> Figure:
    """Return somebody in a jacket with the given grey face (0-1, 25 x 25)."""
    rng = np.random.default_rng(seed)
    jacket: Colour = [(92, 74, 58), (60, 62, 66), (58, 74, 44), (110, 104, 98), (70, 50, 84), (120, 96, 52)][seed % 6]
    trousers: Colour = [(52, 46, 42), (84, 64, 48), (44, 44, 46)][seed % 3]
    hair = tuple(int(v) for v in np.array([(38, 44, 56), (24, 24, 28), (70, 92, 120)][seed % 3]) + rng.integers(-6, 7))
    top = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    _jacket(top, mask, jacket)
    _head(top, mask, face, (hair[0], hair[1], hair[2]))
    return Figure([_standing(top, mask, trousers, (30, 30, 32), pose) for pose in range(GAIT)])


def cut_out(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the opacity of the person in the portrait: the suit by outline, hair and neck by GrabCut."""
    suit = np.zeros(picture.shape[:2], np.uint8)
    outline = [
        (118, 190),
        (160, 152),
        (205, 148),
        (262, 170),
        (300, 215),
        (304, 244),
        (345, 268),
        (362, 330),
        (372, 348),
    ]
    outline += [(430, 350), (472, 380), (497, 440), (508, 511), (28, 511), (22, 400), (36, 300), (60, 258), (100, 225)]
    cv2.fillPoly(suit, [np.array(outline)], 255)
    head = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.ellipse(head, (226, 96), (84, 92), 0, 0, 360, cv2.GC_PR_FGD, -1)
    cv2.ellipse(head, (226, 125), (46, 64), 0, 0, 360, cv2.GC_FGD, -1)
    for gap in ([(140, 128), (177, 122), (186, 148), (150, 160)], [(281, 126), (320, 130), (290, 176), (262, 176)]):
        cv2.fillPoly(head, [np.array(gap)], cv2.GC_BGD)
    cv2.setRNGSeed(1)
    cv2.grabCut(picture, head, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    suit[(head == cv2.GC_FGD) | (head == cv2.GC_PR_FGD)] = 255
    soft = cv2.GaussianBlur(cv2.erode(suit, np.ones((3, 3))), (0, 0), 1.2)
    return np.asarray(soft, np.float32) / np.float32(255)


def _jacket(top: NDArray[np.float32], mask: NDArray[np.float32], colour: Colour) -> None:
    shape = np.array([(205, 190), (305, 190), (318, 218), (392, 250), (424, 330), (438, 560), (392, 572), (372, 420)])
    shape = np.vstack(
        [
            shape,
            np.array([(366, 560), (146, 560), (140, 420), (120, 572), (74, 560), (88, 330), (120, 250), (194, 218)]),
        ]
    )
    cv2.fillPoly(top, [shape], colour)
    cv2.fillPoly(mask, [shape], 1.0)
    shade = np.tile(np.abs(np.linspace(-1, 1, WIDTH, dtype=np.float32)) ** 2, (HEIGHT, 1))
    top *= (1.18 - 0.6 * shade)[..., None]
    dark = tuple(int(c * 0.6) for c in colour)
    cv2.line(top, (256, 230), (256, 560), dark, 4)
    for arm in (140, 372):
        cv2.line(top, (arm, 330), (arm, 560), dark, 5)
    cv2.fillPoly(top, [np.array([(222, 196), (290, 196), (256, 262)])], (205, 205, 200))


def _head(top: NDArray[np.float32], mask: NDArray[np.float32], face: NDArray[np.float64], hair: Colour) -> None:
    side = 128
    grey = cv2.resize(face.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    low, high = np.percentile(grey, (2, 98))
    grey = np.clip((grey - low) / max(0.1, high - low), 0, 1) * 190 + 36
    skin = grey[..., None] * np.array([0.74, 0.86, 1.06], np.float32)
    tone = tuple(float(v) for v in skin[side // 2 - 20 : side // 2 + 20, side // 4 : -side // 4].mean((0, 1)) * 0.86)
    cv2.rectangle(top, (222, 170), (290, 212), tuple(c * 0.8 for c in tone), -1)
    cv2.rectangle(mask, (222, 170), (290, 206), 1.0, -1)
    for centre, size, colour in (((256, 104), (66, 84), hair), ((256, 126), (59, 72), tone)):
        cv2.ellipse(top, centre, size, 0, 0, 360, colour, -1)
        cv2.ellipse(mask, centre, size, 0, 0, 360, 1.0, -1)
    for ear in (196, 316):
        cv2.ellipse(top, (ear, 122), (9, 18), 0, 0, 360, tone, -1)
        cv2.ellipse(mask, (ear, 122), (9, 18), 0, 0, 360, 1.0, -1)
    oval = np.zeros((side, side), np.float32)
    cv2.ellipse(oval, (side // 2, side // 2), (52, 62), 0, 0, 360, 1.0, -1)
    soft = np.asarray(cv2.GaussianBlur(oval, (0, 0), 5), np.float32)[..., None]
    x, y = 256 - side // 2, 124 - side // 2
    spot = top[y : y + side, x : x + side]
    spot[:] = spot * (1 - soft) + skin * soft


def _standing(
    top: NDArray[np.float32], mask: NDArray[np.float32], trousers: Colour, shoes: Colour, pose: int
) -> Sprite:
    """Put legs under the upper body, swung for this picture of the step."""
    picture, opacity = np.zeros_like(top), np.zeros_like(mask)
    swing = round(60 * np.sin(2 * np.pi * pose / GAIT + 0.6))
    for side, light in ((-1, 0.82), (1, 1.0)):
        hip, foot = (
            (256 + side * 52, _HIP),
            (256 + side * (44 + abs(swing) // 3), HEIGHT - 40 - max(0, side * swing) // 2),
        )
        knee = ((hip[0] + foot[0]) // 2 + side * 6, _KNEE)
        colour = tuple(c * light for c in trousers)
        for a, b, thick in ((hip, knee, 112), (knee, foot, 88)):
            cv2.line(picture, a, b, colour, thick)
            cv2.line(opacity, a, b, 1.0, thick)
        cv2.ellipse(picture, (foot[0] + side * 12, foot[1] + 18), (58, 22), 0, 0, 360, shoes, -1)
        cv2.ellipse(opacity, (foot[0] + side * 12, foot[1] + 18), (58, 22), 0, 0, 360, 1.0, -1)
    edge = mask[..., None]
    picture = picture * (1 - edge) + top * edge
    opacity = np.maximum(opacity, mask)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT), 1.4 * float(np.sin(2 * np.pi * pose / GAIT)), 1.0)
    turned = cv2.warpAffine(picture.clip(0, 255).astype(np.uint8), turn, (WIDTH, HEIGHT))
    return Sprite(np.asarray(turned, np.uint8), np.asarray(cv2.warpAffine(opacity, turn, (WIDTH, HEIGHT)), np.float32))


def _scaled(sprite: Sprite, scale: float, mirror: bool, blur: float) -> Sprite:
    size = (max(1, round(WIDTH * scale)), max(1, round(HEIGHT * scale)))
    picture = cv2.resize(sprite.picture, size, interpolation=cv2.INTER_AREA)
    opacity = cv2.resize(sprite.opacity, size, interpolation=cv2.INTER_AREA)
    if mirror:
        picture, opacity = cv2.flip(picture, 1), cv2.flip(opacity, 1)
    return Sprite(
        np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8),
        np.asarray(cv2.GaussianBlur(opacity, (0, 0), blur), np.float32),
    )
