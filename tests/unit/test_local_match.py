import numpy as np
import pytest

from vidsearch.engines.local.match import LEAST_PX, Target, match_tracks, pooled
from vidsearch.engines.local.similarity import Scale, distances
from vidsearch.engines.local.vectors import SHOT, StoredShots

RNG = np.random.default_rng(5)


def person() -> np.ndarray:
    vector = RNG.normal(0, 1, 128).astype(np.float32)
    return vector / np.linalg.norm(vector) * np.float32(1.4)


def near(vector: np.ndarray, distance: float) -> np.ndarray:
    step = RNG.normal(0, 1, 128).astype(np.float32)
    step -= vector * (step @ vector) / (vector @ vector)
    return (vector + step / np.linalg.norm(step) * np.float32(distance)).astype(np.float32)


def track(vectors: list[np.ndarray], *, px: float = 80.0, name: str = "t") -> StoredShots:
    shots = np.zeros(len(vectors), SHOT)
    shots["px"], shots["quality"] = px, 0.5
    return StoredShots("footage", name, shots, np.stack(vectors))


def matches(tracks: list[StoredShots], *targets: Target) -> dict[tuple[str, str], tuple[float, int, bool]]:
    found = match_tracks([tracks], targets, Scale())
    return {(m.track_id, m.face_id): (m.similarity, m.agreeing, m.weak) for _, m in found}


@pytest.mark.parametrize(("distance", "expected"), [(0.3, 98.52), (0.4, 94.27), (0.5, 80.22), (0.6, 50), (0.7, 19.78)])
def test_the_scale(distance: float, expected: float) -> None:
    assert float(Scale().similarity(np.float32(distance))) == pytest.approx(expected, abs=0.02)
    assert Scale().distance_of(expected) == pytest.approx(distance, abs=0.001)


def test_distances_are_euclidean() -> None:
    a, b = RNG.normal(size=(3, 128)).astype(np.float32), RNG.normal(size=(4, 128)).astype(np.float32)
    assert np.allclose(distances(a, b), np.linalg.norm(a[:, None] - b[None], axis=2), atol=1e-4)


def test_a_track_resembles_its_person_and_nobody_else() -> None:
    ann, bob = person(), person()
    found = matches([track([near(ann, 0.4) for _ in range(5)])], Target("ann", ann), Target("bob", bob))
    assert list(found) == [("t", "ann")]
    score, agreeing, weak = found["t", "ann"]
    assert score > 94
    assert agreeing == 5
    assert not weak


def test_several_noisy_shots_together_are_nearer_than_each_alone() -> None:
    ann = person()
    noisy = [near(ann, 0.52) for _ in range(5)]
    alone = matches([track([noisy[0]])], Target("ann", ann))["t", "ann"][0]
    together = matches([track(noisy)], Target("ann", ann))["t", "ann"][0]
    assert alone < 80 < together


def test_an_average_of_unlike_shots_is_not_taken_for_everybody() -> None:
    stranger = person()
    unlike = [person() for _ in range(5)]
    average, spread = pooled(track(unlike))
    assert spread > 1
    assert matches([track(unlike)], Target("x", stranger)) == {}
    assert np.linalg.norm(average) < 1


def test_one_shot_never_agrees_twice() -> None:
    ann = person()
    assert matches([track([near(ann, 0.3)])], Target("ann", ann))["t", "ann"][1] == 1


def test_shots_too_small_to_name_anybody_take_no_part() -> None:
    ann = person()
    assert matches([track([ann, ann], px=LEAST_PX - 1)], Target("ann", ann)) == {}
    mixed = track([near(ann, 0.3), near(ann, 0.3), ann])
    mixed.shots["px"] = [80, 80, LEAST_PX - 1]
    assert matches([mixed], Target("ann", ann))["t", "ann"][1] == 2


def test_a_weak_face_says_so() -> None:
    ann = person()
    assert matches([track([ann, ann])], Target("ann", ann, weak=True))["t", "ann"][2]


def test_no_targets_no_matches() -> None:
    assert matches([track([person()])]) == {}
