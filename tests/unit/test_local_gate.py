import numpy as np

from vidsearch.engines.local.gate import Gate

WIDTH, HEIGHT = 960, 540
RNG = np.random.default_rng(3)
SCENE = np.clip(RNG.normal(110, 25, (HEIGHT // 20, WIDTH // 20)).repeat(20, 0).repeat(20, 1), 0, 255)


def view(*things: tuple[int, int, int, float], noise: float = 5.0, light: float = 0.0) -> np.ndarray:
    """Return the scene with squares (x, y, side, brightness) in it."""
    picture = SCENE + light + RNG.normal(0, noise, SCENE.shape)
    for x, y, side, brightness in things:
        picture[y : y + side, x : x + side] = brightness
    return np.clip(picture, 0, 255).astype(np.uint8)


def looked(gate: Gate, pictures: list[np.ndarray]) -> list[bool]:
    return [bool(gate.look(picture).regions) for picture in pictures]


def test_the_first_picture_is_of_interest_everywhere() -> None:
    assert Gate(200).look(view()).regions == [(0, 0, WIDTH, HEIGHT)]


def test_sensor_noise_is_no_movement() -> None:
    for noise in (0, 5, 12):
        gate = Gate(200)
        gate.look(view(noise=noise))
        assert not any(looked(gate, [view(noise=noise) for _ in range(40)]))


def test_a_small_thing_that_moves_is_found_where_it_is() -> None:
    gate = Gate(200)
    gate.look(view())
    looked(gate, [view() for _ in range(20)])
    for x in range(100, 700, 60):
        regions = gate.look(view((x, 200, 30, 230.0))).regions
        assert any(left <= x and x + 30 <= right and top <= 200 <= bottom for left, top, right, bottom in regions)


def test_what_stays_becomes_background_after_a_while_and_its_movement_is_seen_again() -> None:
    gate = Gate(200)
    gate.look(view())
    looked(gate, [view() for _ in range(10)])
    stays = looked(gate, [view((400, 200, 60, 230.0)) for _ in range(40)])
    assert all(stays[:12])
    assert not any(stays[20:])
    assert gate.look(view((412, 200, 60, 230.0))).regions


def test_slow_light_is_no_movement_and_a_switched_lamp_settles() -> None:
    gate = Gate(200)
    gate.look(view())
    assert not any(looked(gate, [view(light=step / 4) for step in range(60)]))
    gate.look(view(light=40))
    assert not any(looked(gate, [view(light=40) for _ in range(30)])[20:])


def test_another_scene_is_a_cut_once() -> None:
    gate = Gate(200)
    gate.look(view())
    other = np.flipud(255 - view()).copy()
    assert not gate.look(view()).cut
    assert gate.look(other).cut
    motion = gate.look(other)
    assert not motion.cut
    assert motion.regions == []


def test_a_busy_background_raises_the_bar_there_only() -> None:
    gate = Gate(200)
    leaves = [(x, 400, 40, 105.0) for x in range(100, 400, 80)]
    pictures = [
        view(
            *[
                (x + int(RNG.integers(-6, 7)), y, side, value + float(RNG.integers(-14, 15)))
                for x, y, side, value in leaves
            ]
        )
        for _ in range(120)
    ]
    gate.look(pictures[0])
    early, late = sum(looked(gate, pictures[1:40])), sum(looked(gate, pictures[80:]))
    assert late <= early
    regions = gate.look(view((700, 100, 40, 235.0))).regions
    assert any(left <= 700 <= right and top <= 120 <= bottom for left, top, right, bottom in regions)


def test_a_picture_of_another_size_begins_anew() -> None:
    gate = Gate(200)
    gate.look(view())
    assert gate.look(view()[:, :600].copy()).regions == [(0, 0, 600, HEIGHT)]
