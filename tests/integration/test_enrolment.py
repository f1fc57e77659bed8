"""Enrolment over the real engine and a real face."""

import io

import pytest
from PIL import Image

from vidsearch.app import open_app
from vidsearch.enrolment import clean_name, photos_to_import
from vidsearch.errors import AwsNotSetUp, DiskFull, ModelMissing, UnknownRecord, UsageError
from vidsearch.model import DEFAULT_CASE, Actor, BoundingBox, EnrolledFace, FaceDescription
from vidsearch.settings import load_settings

ME = Actor("tester")


@pytest.fixture
def app(tmp_path, models):
    settings = load_settings(tmp_path / "data", env={"VIDSEARCH_MODELS": str(models)})
    with open_app(settings, actor=ME) as opened:
        yield opened


def add(app, name, *sources, **options):
    return list(app.enrolment.add_photos(ME, DEFAULT_CASE, name, sources, **options))


def encoded(picture: Image.Image, name: str = "photo.png") -> tuple[str, bytes]:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "PNG")
    return name, stream.getvalue()


def pair(astronaut) -> tuple[str, bytes]:
    """Return a picture with two faces."""
    portrait = Image.open(astronaut).convert("RGB")
    both = Image.new("RGB", (1024, 512))
    both.paste(portrait, (0, 0))
    both.paste(portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (512, 0))
    return encoded(both, "both.png")


def test_every_photo_has_an_outcome_and_bad_ones_stop_nothing(app, astronaut, tmp_path):
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear Sir")
    wall = encoded(Image.new("RGB", (600, 400), "grey"), "wall.png")
    results = add(app, "Eileen", letter, wall, astronaut, astronaut, tmp_path / "none.jpg")
    assert [result.outcome for result in results] == [
        "not_an_image",
        "no_face",
        "enrolled",
        "duplicate",
        "not_an_image",
    ]
    assert all(result.reason for result in results if not result.usable)
    assert len(app.engine().faces(DEFAULT_CASE)) == 1
    assert app.store.cases.get(DEFAULT_CASE).gallery_revision == 1


def test_of_several_faces_one_is_chosen(app, astronaut):
    (refused,) = add(app, "Eileen", pair(astronaut))
    assert (refused.outcome, len(refused.faces)) == ("several_faces", 2)
    assert refused.faces[0].box.left < refused.faces[1].box.left
    chosen = app.enrolment.choose_face(ME, DEFAULT_CASE, refused.photo.id, 1)
    assert chosen.outcome == "enrolled"
    assert chosen.photo.box.left > 0.5
    photos = app.store.people.photos(app.store.people.by_name(DEFAULT_CASE, "Eileen").id)
    assert [photo.outcome for photo in photos] == ["enrolled"]


def test_a_small_face_is_refused_with_its_size_and_taken_as_weak_on_request(app, astronaut):
    small = encoded(Image.open(astronaut).resize((160, 160)), "small.png")
    (refused,) = add(app, "Eileen", small)
    assert refused.outcome == "too_small"
    assert "px" in refused.reason or "pixels" in refused.reason
    (weak,) = add(app, "Eileen", small, allow_weak=True)
    assert weak.outcome == "weak"
    (match,) = app.engine().search_probe(DEFAULT_CASE, app.enrolment._load(astronaut, None), threshold=50)
    assert match.weak


def test_forgetting_leaves_nothing_but_that_it_happened(app, astronaut):
    (result,) = add(app, "Eileen", astronaut)
    person = app.store.people.by_name(DEFAULT_CASE, "Eileen")
    app.enrolment.forget_person(ME, DEFAULT_CASE, person.id)
    assert app.engine().faces(DEFAULT_CASE) == []
    assert not app.enrolment.photo_file(result.photo).exists()
    assert [entry.action for entry in app.store.audit.entries()] == ["person.add", "photo.add", "person.forget"]
    assert "Eileen" not in str(app.store.audit.entries())


def test_a_crash_between_store_and_engine_is_swept_up(app, astronaut):
    add(app, "Eileen", astronaut)
    with app.store.atomic():
        app.store.people.remove(app.store.people.by_name(DEFAULT_CASE, "Eileen").id)
    assert len(app.engine().faces(DEFAULT_CASE)) == 1
    app.forgetting.sweep()
    assert app.engine().faces(DEFAULT_CASE) == []


def test_what_amazon_cannot_forget_now_keeps_nobody_from_searching_here(app, caplog):
    face = FaceDescription(BoundingBox(0, 0, 1, 1), 99.0, 100, 50.0, 1.0)
    with app.store.atomic():
        person = app.store.people.add(DEFAULT_CASE, "Eileen")
        held = EnrolledFace("far-face", "rekognition", "1", face)
        given = {"name": "a.jpg", "sha256": "0" * 64, "width": 1, "height": 1, "outcome": "enrolled", "reason": ""}
        app.store.people.add_photo(person, **given, enrolled=held)
    with pytest.raises(AwsNotSetUp):
        app.enrolment.forget_person(ME, DEFAULT_CASE, person.id)
    app.worker()
    assert "forgotten" in caplog.text
    assert app.store.forgotten.faces("rekognition") == [(DEFAULT_CASE, "far-face")], "it is tried again"


def test_a_face_is_one_person_only(app, astronaut):
    add(app, "Eileen", astronaut)
    (result,) = add(app, "Somebody", astronaut)
    assert result.outcome == "other_person"
    assert "Eileen" in result.reason


def test_a_photo_of_somebody_else_is_reported(app, shared_data):
    faces = shared_data / "azure/Face/images"
    results = add(app, "Dad", faces / "Family1-Dad1.jpg", faces / "Family1-Dad2.jpg", faces / "Family1-Mom1.jpg")
    assert [result.photo.disagrees is None for result in results] == [True, True, False]
    assert "same person" in results[2].reason
    (like,) = add(app, "Uncle", faces / "Family1-Dad3.jpg")
    assert "Dad" in like.reason


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "José  Ñandú", "👩‍🚀", "שלום", "x" * 300])
def test_names_may_be_anything_people_are_called(app, astronaut, name):
    add(app, name, astronaut)
    assert app.store.people.by_name(DEFAULT_CASE, " ".join(name.split()))


@pytest.mark.parametrize("name", ["", "  ", "x" * 301, "a\x00b", "a\x1bb"])
def test_names_that_are_none(name):
    with pytest.raises(UsageError):
        clean_name(name)


def test_import_from_folders_and_csv(tmp_path):
    for person, photo in (("Ann", "1.jpg"), ("Ann", "2.HEIC"), ("Bob", "x.png"), ("Bob", "notes.txt")):
        (tmp_path / "in" / person).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / person / photo).touch()
    found = photos_to_import(tmp_path / "in")
    assert [(name, path.name) for name, path in found] == [("Ann", "1.jpg"), ("Ann", "2.HEIC"), ("Bob", "x.png")]
    table = tmp_path / "people.csv"
    table.write_text("\ufeffname,path\nAnn Lee,in/Ann/1.jpg\n\n", encoding="utf-8")
    assert photos_to_import(table) == [("Ann Lee", tmp_path / "in/Ann/1.jpg")]
    table.write_text("Ann\n")
    with pytest.raises(UsageError, match="each row needs"):
        photos_to_import(table)
    with pytest.raises(UnknownRecord):
        photos_to_import(tmp_path / "none")


def test_a_face_that_a_photo_does_not_have_stops_no_other(app, astronaut):
    results = add(app, "Eileen", astronaut, pair(astronaut), face=1)
    assert [result.outcome for result in results] == ["refused", "enrolled"]
    assert "no face 2" in results[0].reason
    assert len([path for path in app.settings.photos.rglob("*") if path.is_file()]) == 1


def test_a_face_that_cannot_be_recorded_is_not_kept(app, astronaut, monkeypatch):
    def full(*_args, **_values):
        raise DiskFull("no space")

    monkeypatch.setattr(app.store.people, "add_photo", full)
    with pytest.raises(DiskFull):
        add(app, "Eileen", astronaut)
    assert app.engine().faces(DEFAULT_CASE) == []


def test_photos_go_also_where_the_engine_cannot_start(app, astronaut, monkeypatch):
    (result,) = add(app, "Eileen", astronaut)

    def missing(name):
        raise ModelMissing

    monkeypatch.setattr(app.forgetting, "_engine", missing)
    with pytest.raises(ModelMissing):
        app.enrolment.forget_person(ME, DEFAULT_CASE, result.photo.person_id)
    assert not app.enrolment.photo_file(result.photo).exists()


def test_no_name_is_left_in_the_data_folder(app, astronaut):
    (result,) = add(app, "Zebedee Quux", astronaut)
    similar = Image.open(astronaut).convert("RGB").resize((500, 500))
    (twin,) = add(app, "Twin", encoded(similar))
    assert "Zebedee Quux" in twin.reason
    app.enrolment.rename(ME, DEFAULT_CASE, result.photo.person_id, "Yolanda Quux")
    assert "Yolanda Quux" in app.store.people.photo(DEFAULT_CASE, twin.photo.id).reason
    app.enrolment.forget_person(ME, DEFAULT_CASE, result.photo.person_id)
    assert "somebody since forgotten" in app.store.people.photo(DEFAULT_CASE, twin.photo.id).reason
    for path in app.settings.data.rglob("*"):
        assert path.is_dir() or b"Quux" not in path.read_bytes(), path


def test_a_table_that_is_none_is_refused(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("name,path\n" + '"' + "x" * 200_000, encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read as CSV"):
        photos_to_import(table)


def test_what_a_crash_left_behind_is_removed_once_it_is_old(app, astronaut, monkeypatch):
    picture = app.enrolment._load(astronaut, None)
    app.enrolment._keep_original(picture)
    app.engine().enrol(DEFAULT_CASE, picture)
    app.forgetting.sweep_left_over()
    assert len(app.engine().faces(DEFAULT_CASE)) == 1, "it may be about to be recorded"
    monkeypatch.setattr("vidsearch.forgetting.SETTLED_S", -1.0)
    app.forgetting.sweep_left_over()
    assert app.engine().faces(DEFAULT_CASE) == []
    assert list(app.settings.photos.glob("*/*")) == []
    add(app, "Eileen", astronaut)
    app.forgetting.sweep_left_over()
    assert len(app.engine().faces(DEFAULT_CASE)) == 1


def test_an_update_of_the_engine_enrols_the_originals_again(app, astronaut):
    add(app, "Eileen", pair(astronaut), face=1)
    engine = app.engine()
    (before,) = engine.faces(DEFAULT_CASE)
    engine.version = engine._galleries._version = "2-new"
    assert app.renewal.renew(ME, DEFAULT_CASE) == []
    (after,) = engine.faces(DEFAULT_CASE)
    assert after != before
    (photo,) = app.store.people.photos(app.store.people.by_name(DEFAULT_CASE, "Eileen").id)
    assert (photo.face_id, photo.engine_version) == (after, "2-new")
    assert photo.box.left > 0.5, "the face chosen, not the other one"
    assert app.renewal.renew(ME, DEFAULT_CASE) == []
    assert app.store.cases.get(DEFAULT_CASE).gallery_revision == 2
