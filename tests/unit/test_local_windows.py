import pytest

from vidsearch.engines.local.boxes import Box
from vidsearch.engines.local.windows import TILE, Turns, around, tiles, windows_over


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (640, 360), (352, 288), (100, 2000), (384, 384)])
def test_tiles_cover_the_picture_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    covered = tiles(width, height)
    for x in range(0, width, 7):
        for y in range(0, height, 7):
            assert any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in covered)
    assert all(0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height for x0, y0, x1, y1 in covered)
    assert all(x1 - x0 <= TILE and y1 - y0 <= TILE for x0, y0, x1, y1 in covered)


def inside(region: Box, window: tuple[int, int, int, int]) -> bool:
    return window[0] <= region[0] and window[1] <= region[1] and window[2] >= region[2] and window[3] >= region[3]


def test_a_small_region_gets_one_window_around_it() -> None:
    (window,) = windows_over([(1000, 500, 1100, 620)], 1920, 1080)
    assert inside((1000, 500, 1100, 620), window)
    assert window[2] - window[0] == window[3] - window[1] == TILE


def test_regions_close_together_share_a_window() -> None:
    assert len(windows_over([(1000, 500, 1100, 620), (1150, 520, 1250, 640)], 1920, 1080)) == 1


def test_a_large_region_is_covered_and_looked_at_as_a_whole() -> None:
    windows = windows_over([(200, 100, 900, 1000)], 1920, 1080)
    assert (200, 100, 901, 1001) in windows
    for x in range(200, 900, 20):
        for y in range(100, 1000, 20):
            assert any(x0 <= x < x1 and y0 <= y < y1 and x1 - x0 <= TILE for x0, y0, x1, y1 in windows)


def test_regions_at_the_edge_stay_in_the_picture() -> None:
    for window in windows_over([(-50, -50, 40, 40), (1900, 1060, 1990, 1200)], 1920, 1080):
        assert 0 <= window[0] < window[2] <= 1920
        assert 0 <= window[1] < window[3] <= 1080


def test_nothing_moves_nothing_is_looked_at() -> None:
    assert windows_over([], 1920, 1080) == []
    assert Turns(5).next([], 1920, 1080) == []


def test_what_fits_the_budget_is_looked_at_every_time() -> None:
    turns = Turns(5)
    region = [(100.0, 100.0, 200.0, 200.0)]
    assert turns.next(region, 1920, 1080) == turns.next(region, 1920, 1080) != []


def test_where_all_moves_every_place_has_its_turn() -> None:
    turns = Turns(5)
    regions = [(x, y, x + 250.0, y + 250.0) for x in range(0, 1900, 300) for y in range(0, 1000, 300)]
    seen = [turns.next(regions, 1920, 1080) for _ in range(6)]
    assert all(len(windows) == 5 for windows in seen)
    assert set(tiles(1920, 1080)) <= {window for windows in seen for window in windows}


def test_a_look_at_everything_is_carried_through() -> None:
    turns = Turns(5)
    seen = set(turns.next([(0.0, 0.0, 1920.0, 1080.0)], 1920, 1080))
    for _ in range(6):
        seen |= set(turns.next([], 1920, 1080))
    assert set(tiles(1920, 1080)) <= seen
    assert turns.next([], 1920, 1080) == []


def test_a_followed_face_gets_one_window_whatever_its_size() -> None:
    assert around([(300, 100, 1500, 1000)], 1920, 1080) == [(300, 100, 1501, 1001)]
    assert len(around([(300, 100, 400, 200), (350, 150, 450, 250)], 1920, 1080)) == 1
    assert len(around([(-40, 100, 1200, 1300), (1500, 100, 1600, 200)], 1920, 1080)) == 2
    assert around([], 1920, 1080) == []
