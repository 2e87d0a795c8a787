"""The page of flights, opened from the disk as a user opens it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from robot_rl.show.flight_page import write_page
from tests.unit.show_samples import flights_of

PATIENCE_MS = 60_000.0
COLOURS = """canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3]) seen.add(pixels.slice(i, i + 3).join());
    return seen.size;
}"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = flights_of(steps=301, count=4, name="in the simulator")
    ended = dataclasses.replace(
        flights_of(steps=201, count=3, name="on a chip"), length=np.array([201, 80, 201])
    )
    path = tmp_path_factory.mktemp("page") / "flights.html"
    write_page(path, "Two groups", [whole, ended], [("training", "1.1 s")])
    return path


@pytest.fixture
def opened(chromium: Browser, file: Path) -> Iterator[Callable[..., Page]]:
    """Opens the page; nothing may go wrong on it."""
    errors: list[str] = []
    contexts = []

    def on_console(message: ConsoleMessage) -> None:
        errors.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            errors.append(request.url)

    def open_page(path: Path = file, **settings: object) -> Page:
        # Whoever asks for less motion gets a page that waits to be played.
        context = chromium.new_context(**{"reduced_motion": "reduce", "offline": True, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", on_console)
        page.on("request", on_request)
        page.goto(path.as_uri())
        expect(page.locator("#clock")).to_have_text(re.compile(r"^0\.00 / "), timeout=PATIENCE_MS)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def at(page: Page) -> float:
    """The time that is shown [s]."""
    return float(page.inner_text("#clock").split()[0])


def waits_for(page: Page, selector: str, text: str) -> None:
    expect(page.locator(selector)).to_have_text(text, timeout=PATIENCE_MS)


def test_it_shows_what_it_is_about(opened: Callable[..., Page]) -> None:
    page = opened()
    assert page.inner_text("h1") == "Two groups"
    assert page.locator("#facts dd").all_inner_texts() == ["1.1 s"]
    assert page.locator("#groups button").all_inner_texts() == ["in the simulator", "on a chip"]
    assert page.locator("#flights button").all_inner_texts() == ["All", "1", "2", "3", "4"]
    waits_for(page, "#completed", "4 of 4 to the end")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_it_draws(opened: Callable[..., Page], scheme: str, width: int, height: int) -> None:
    page = opened(color_scheme=scheme, viewport={"width": width, "height": height})
    for canvas in page.locator("canvas").all():
        expect(canvas).to_be_visible()
        assert canvas.evaluate(COLOURS) > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_plays_to_the_end_and_from_the_beginning_again(opened: Callable[..., Page]) -> None:
    page = opened()
    page.keyboard.press("+")
    page.keyboard.press("Space")
    waits_for(page, "#play", "Pause")
    waits_for(page, "#clock", "3.00 / 3.00 s")
    waits_for(page, "#play", "Play")
    page.locator("#play").click()
    waits_for(page, "#play", "Pause")
    page.locator("#play").click()
    waits_for(page, "#play", "Play")
    assert at(page) < 3.0


def test_time_can_be_set(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("#time").fill("1.5")
    waits_for(page, "#clock", "1.50 / 3.00 s")
    page.keyboard.press("ArrowRight")
    waits_for(page, "#clock", "1.60 / 3.00 s")
    page.keyboard.press("Shift+ArrowLeft")
    waits_for(page, "#clock", "1.58 / 3.00 s")
    page.keyboard.press("End")
    waits_for(page, "#clock", "3.00 / 3.00 s")
    chart = page.locator("#charts canvas").first
    chart.click(position={"x": chart.bounding_box()["width"] / 2, "y": 60})
    page.wait_for_function("parseFloat(document.getElementById('clock').textContent) < 2")
    assert 1.0 < at(page) < 2.0


def test_charts_say_what_holds_at_the_cursor(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("#flights button", has_text="3").click()
    page.locator("#time").fill("2")
    distance = page.locator("#charts canvas").first
    expect(distance).to_have_attribute("aria-label", "Distance [cm]: 30.0 cm", timeout=PATIENCE_MS)
    assert "Starts 30 cm off" in page.inner_text("#outcome")


def test_groups_and_flights_can_be_chosen(opened: Callable[..., Page]) -> None:
    page = opened()
    page.locator("#groups button", has_text="on a chip").click()
    waits_for(page, "#clock", "0.00 / 2.00 s")
    waits_for(page, "#completed", "2 of 3 to the end")
    assert page.locator("#flights button").all_inner_texts() == ["All", "1", "2 ✕", "3"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert "Ended after 0.78 s" in page.inner_text("#outcome")
    pressed = page.locator("#flights button[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["2 ✕"]
    page.locator("#flights button", has_text="3").click(modifiers=["Shift"])
    assert pressed.all_inner_texts() == ["2 ✕", "3"]
    page.keyboard.press("a")
    assert pressed.all_inner_texts() == ["All"]
    page.keyboard.press("g")
    waits_for(page, "#completed", "4 of 4 to the end")


def test_a_flight_of_which_nothing_is_known_is_shown_as_such(
    opened: Callable[..., Page], tmp_path: Path
) -> None:
    flights = flights_of(steps=51, count=1)
    flights.position[:] = np.nan
    write_page(tmp_path / "flights.html", "Nothing <b>at all</b>", [flights])
    page = opened(tmp_path / "flights.html")
    assert page.inner_text("h1") == "Nothing <b>at all</b>"
    waits_for(page, "#completed", "0 of 1 to the end")
    assert page.inner_text("#outcome") == "Nothing was recorded of this flight."
    assert page.locator("#flights button").all_inner_texts() == ["1 ✕"]
    page.keyboard.press("End")
    waits_for(page, "#clock", "0.50 / 0.50 s")


def test_the_view_can_be_turned_and_follows(opened: Callable[..., Page]) -> None:
    page = opened()
    scene = page.locator("#scene")

    def changes(before: str, to: str | None = None) -> str:
        """Wait until the picture is another one, or this one."""
        page.wait_for_function(
            "([before, to]) => { const now = scene.toDataURL(); return to ? now === to : now !== before; }",
            arg=[before, to],
        )
        return scene.evaluate("canvas => canvas.toDataURL()")

    usual = scene.evaluate("canvas => canvas.toDataURL()")
    box = scene.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 220)
    page.mouse.up()
    turned = changes(usual)
    page.mouse.wheel(0, 300)
    zoomed = changes(turned)
    page.keyboard.press("r")
    changes(zoomed, to=usual)
    page.keyboard.press("f")
    expect(page.locator("#follow")).to_have_attribute("aria-pressed", "true")
    changes(usual)
