"""The whole way through in a real browser, with the real engine: enrol, add, search, look."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.footage_maker import crossing
from vidsearch.app import App
from vidsearch.model import Actor
from vidsearch.settings import load_settings
from vidsearch.store import Store
from web import create_app
from web.server import make_server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
compute_driver_executable = pytest.importorskip("playwright._impl._driver").compute_driver_executable

pytestmark = pytest.mark.browser

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

DESK, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@dataclass
class Site:
    """A running server over a fresh data folder, its worker included."""

    url: str
    app: App
    recording: Path


@dataclass
class Watched:
    """A page, and everything its console said."""

    page: playwright.Page
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: Path, astronaut: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("exports") / "Gate"
    folder.mkdir()
    recording = crossing(folder / "cam_20261102_182400.mp4", astronaut, seconds=9, visits=((1.0, 3.5), (6.5, 8.0)))
    environment = {"VIDSEARCH_ZONE": "Europe/Paris", "VIDSEARCH_MODELS": str(models)}
    settings = load_settings(
        tmp_path_factory.mktemp("data"), environment, cores=1, footage_folders=(str(folder.parent),)
    )
    with App(settings, Store.open(settings.database), Actor("tester")) as app:
        server = make_server(create_app(app), "127.0.0.1", 0)
        stop = threading.Event()
        threads = [threading.Thread(target=server.run), threading.Thread(target=app.worker().run_forever, args=(stop,))]
        for thread in threads:
            thread.start()
        yield Site(f"http://127.0.0.1:{server.effective_port}", app, recording)
        stop.set()
        server.close()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    if not CHROMIUM:
        pytest.skip("no Chromium here; on Debian: apt-get install chromium")
    driver, *_ = compute_driver_executable()
    if subprocess.run([driver, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("playwright's driver does not start; on Debian: apt-get install libatomic1")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: playwright.Browser, site: Site) -> Iterator[object]:
    """Return a function that opens a page of a size; after the test, nothing may have been said on its console."""
    opened: list[Watched] = []

    def page(size: dict[str, int], **more: object) -> playwright.Page:
        context = chromium.new_context(viewport=size, base_url=site.url, **more)
        watched = Watched(context.new_page())
        watched.page.on("console", lambda message: watched.said.append(f"{message.type}: {message.text}"))
        watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
        watched.page.set_default_timeout(20_000)
        opened.append(watched)
        return watched.page

    yield page
    for watched in opened:
        watched.page.context.close()
        assert watched.said == []


@pytest.fixture(scope="module")
def searched(chromium: playwright.Browser, site: Site, astronaut: Path) -> list[str]:
    """Go from nothing to appearances with the mouse; return what the console said."""
    context = chromium.new_context(viewport=DESK, base_url=site.url)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto("/")
    page.get_by_role("link", name="Add a person").click()
    page.get_by_role("textbox", name="Name").fill("Eileen Collins")
    page.locator("input[type=file]").set_input_files(str(astronaut))
    assert "astronaut.png" in page.locator(".drop output").inner_text()
    page.get_by_role("button", name="Enrol").click()
    page.get_by_text("1 photo: 1 enrolled.").wait_for()
    page.get_by_role("link", name="Footage").click()
    page.get_by_role("link", name="Add recordings").first.click()
    page.get_by_role("link", name="Gate").click()
    page.get_by_text(site.recording.name).click()
    page.get_by_label("Camera", exact=True).fill("Gate 2")
    page.get_by_role("button", name="Add 1 recording").click()
    page.get_by_text("1 recording added").wait_for()
    page.get_by_role("button", name="Search now").click()
    # The state follows the search by itself, without a reload by hand.
    page.locator("[data-cell=state]", has_text=re.compile("^searched")).wait_for(timeout=60_000)
    context.close()
    return said


def test_from_nothing_to_appearances(searched, site):
    assert searched == []
    assert len(site.app.timeline.appearances("default")) == 2


def test_the_timeline_on_a_desk(searched, open_page):
    page = open_page(DESK)
    page.goto("/")
    faces = page.locator("#lanes .hit")
    faces.first.wait_for()
    assert page.locator("#lanes .names .name").all_inner_texts() == ["Gate 2"]
    assert page.locator("#rows tr[data-id]").count() == 2
    assert page.locator("#panel h2").inner_text() == "Eileen Collins"
    first = page.locator("#rows tr.on").get_attribute("data-id")
    page.locator("#rows tr[data-id]").nth(1).click()
    page.wait_for_function("first => new URL(location).searchParams.get('sel') !== first", arg=first)
    assert page.locator("#rows tr.on").get_attribute("data-id") != first
    page.locator(f"#lanes .hit[data-id='{first}'] image").click()
    page.wait_for_function("first => new URL(location).searchParams.get('sel') === first", arg=first)
    page.keyboard.press("]")
    page.wait_for_function("first => new URL(location).searchParams.get('sel') !== first", arg=first)
    page.keyboard.press("[")
    page.wait_for_function("first => new URL(location).searchParams.get('sel') === first", arg=first)


def test_zoom_by_wheel_keys_and_buttons_is_in_the_address(searched, open_page):
    page = open_page(DESK)
    page.goto("/")
    page.locator("#lanes .hit").first.wait_for()
    page.locator("#lanes .plot").hover(position={"x": 120, "y": 40})
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => location.search.includes('view=')")
    page.wait_for_function("() => document.querySelectorAll('#rows tr[data-id]').length === 1")
    assert "1 of 2 shown" in page.locator("#lanes .range").inner_text()
    address = page.url
    page.goto(address)
    page.wait_for_function("() => document.querySelectorAll('#rows tr[data-id]').length === 1")
    page.locator("#lanes .body").focus()
    page.keyboard.press("0")
    page.wait_for_function("() => document.querySelectorAll('#rows tr[data-id]').length === 2")
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function("() => location.search.includes('view=')")
    page.get_by_role("button", name="Show everything").click()
    page.wait_for_function("() => !location.search.includes('view=')")


def test_filters_and_lanes_by_person(searched, open_page):
    page = open_page(DESK)
    page.goto("/")
    page.locator("select[name=by]").select_option("person")
    page.wait_for_url("**/?by=person")
    page.locator("#lanes .names .name", has_text="Eileen Collins").wait_for()
    page.get_by_text("Eileen Collins 2").first.click()
    page.wait_for_url("**person=1**")
    assert page.locator("#rows tr[data-id]").count() == 2


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_an_appearance_with_its_video(searched, open_page, size):
    page = open_page(size, has_touch=size is PHONE)
    page.goto("/")
    if size is PHONE:
        page.locator("#lanes .hit image").first.tap()
    else:
        page.get_by_role("link", name="Open with video").click()
    page.wait_for_url("**/appearances/*")
    page.wait_for_function("() => document.getElementById('video').readyState >= 1")
    assert page.evaluate("document.getElementById('video').duration") == pytest.approx(9.0, abs=0.3)
    assert page.locator("svg.stage").first.is_visible()
    box = page.locator("svg.stage rect.over").first.bounding_box()
    frame = page.locator("svg.stage").first.bounding_box()
    page.get_by_role("button", name="Video").click()
    page.wait_for_function("() => document.getElementById('video').currentTime > 0.05")
    page.get_by_role("button", name="Best moment").click()
    page.wait_for_function("() => document.getElementById('video').currentTime > 1")
    assert page.evaluate("document.getElementById('video').paused")
    assert box
    assert frame
    assert frame["x"] < box["x"] < frame["x"] + frame["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("path", ["/", "/people/", "/people/1", "/footage/", "/footage/1", "/footage/add", "/jobs/"])
def test_nothing_is_wider_than_a_phone(searched, open_page, path):
    page = open_page(PHONE)
    page.goto(path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_everything_is_there(searched, open_page):
    page = open_page(DESK, java_script_enabled=False)
    page.goto("/")
    assert page.locator("#rows tr[data-id]").count() == 2
    page.locator("#rows tr[data-id] a").first.click()
    assert page.locator("video").count() == 1


def test_inline_script_does_not_run(searched, open_page, site):
    name = "<img src=x onerror=\"document.title='owned'\">"
    site.app.enrolment.rename(Actor("tester"), "default", 1, name)
    try:
        page = open_page(DESK)
        page.goto("/")
        page.locator("#lanes .hit").first.wait_for()
        page.locator("#rows tr[data-id]").nth(1).click()
        page.wait_for_function("() => location.search.includes('sel=')")
        assert page.locator("#panel h2").inner_text() == name
        assert page.title() == "Timeline · vidsearch"
    finally:
        site.app.enrolment.rename(Actor("tester"), "default", 1, "Eileen Collins")
