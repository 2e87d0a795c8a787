"""A headless Chromium for the tests of the operator's page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# Without a browser these tests are left out, but never in continuous integration, where that would go unseen.
collect_ignore_glob = [] if CHROMIUM or os.environ.get("CI") else ["test_*"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A browser. Its client keeps an event loop running in this thread: it ends before other tests begin."""
    from playwright.sync_api import sync_playwright

    # WebGL in software: there is no graphics card where tests run.
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
