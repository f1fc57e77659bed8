import numpy as np
import pytest

from vidsearch.engines.local.align import cut_around, shrunk
from vidsearch.engines.local.quality import frontal, sharpness, shot_quality

RNG = np.random.default_rng(2)


def marked(box: tuple[int, int, int, int], size: tuple[int, int] = (300, 400)) -> np.ndarray:
    picture = np.full((*size, 3), 60, np.uint8)
    picture[max(0, box[1]) : box[3], max(0, box[0]) : box[2]] = 200
    return picture


@pytest.mark.parametrize("box", [(150, 100, 200, 150), (0, 0, 50, 50), (340, 240, 400, 300), (100, 20, 340, 260)])
@pytest.mark.parametrize("face", [30.0, 64.0, 150.0])
def test_a_face_is_where_it_is_said_to_be(box: tuple[int, int, int, int], face: float) -> None:
    piece, (x0, y0, x1, y1) = cut_around(marked(box), box, face, 2.0)
    assert piece.shape[0] == piece.shape[1] == pytest.approx(2 * face, rel=0.1)
    assert x1 - x0 == pytest.approx(face, rel=0.1)
    inside = piece[round(y0) + 2 : round(y1) - 2, round(x0) + 2 : round(x1) - 2]
    assert inside.min() > 180
    if box[0] > 60:
        assert piece[round((y0 + y1) / 2), : max(1, round(x0) - 4)].max() < 90


def test_beyond_the_picture_its_edge_is_repeated() -> None:
    picture = np.full((40, 40, 3), 7, np.uint8)
    for box in ((-30, -30, 10, 10), (30, 30, 90, 90), (-100, 10, -60, 50), (200, 200, 240, 240)):
        piece, _ = cut_around(picture, box, 50.0, 2.4)
        assert piece.min() == piece.max() == 7


def test_a_box_of_a_fraction_of_a_pixel_is_no_trouble() -> None:
    piece, _ = cut_around(marked((10, 10, 20, 20)), (10.2, 10.2, 10.6, 10.6), 20.0, 1.0)
    assert piece.size


def test_sharpness_falls_with_blur_and_not_with_size() -> None:
    import cv2

    texture = cv2.resize(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8), (256, 256), interpolation=cv2.INTER_AREA)
    box = (50.0, 50.0, 200.0, 200.0)
    values = [sharpness(np.asarray(cv2.GaussianBlur(texture, (0, 0), s), np.uint8), box) for s in (0.5, 2, 4, 8)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]
    assert sharpness(np.full((100, 100, 3), 9, np.uint8), (10, 10, 90, 90)) == 0


def test_a_turned_face_is_less_frontal() -> None:
    def points(nose: float) -> np.ndarray:
        return np.array([[30, 50], [70, 50], [nose, 70], [50, 85], [20, 50], [80, 50]], np.float32)

    assert frontal(points(50)) == pytest.approx(1)
    assert frontal(points(60)) == pytest.approx(0.5)
    assert frontal(points(75)) == 0
    assert frontal(None) == 0.5
    tilted = points(50) @ np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)
    assert frontal(tilted) == pytest.approx(1, abs=1e-4)
    assert shot_quality(100, 1, 0.9, 30) > shot_quality(50, 1, 0.9, 30) > shot_quality(50, 0.2, 0.9, 30)


@pytest.mark.parametrize(
    ("size", "longer"), [((1000, 1500), 192), ((384, 384), 192), ((300, 301), 300), ((50, 60), 192)]
)
def test_shrinking_keeps_things_in_their_place(size: tuple[int, int], longer: int) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    y, x = size[0] * 2 // 3, size[1] // 3
    picture[y - 12 : y + 12, x - 12 : x + 12] = 255
    small, factor = shrunk(picture, longer)
    assert max(small.shape[:2]) <= longer
    assert factor == pytest.approx(min(1, longer / max(size)), rel=0.02)
    rows, columns, _ = np.nonzero(small > 100)
    assert rows.mean() == pytest.approx(y * factor, abs=1)
    assert columns.mean() == pytest.approx(x * factor, abs=1)
