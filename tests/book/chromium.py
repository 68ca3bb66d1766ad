"""Chromium for the tests of the pages: where it is, and, run as a script, how it comes where it is not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "No Chromium found: install the package chromium (Debian: apt install chromium), then say make test again"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def executable() -> str | None:
    """The browser on PATH, else the one that Playwright installed, else None."""
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    if on_path:
        return on_path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def wait_for_maths(page) -> None:
    """Until an open page's formulas are set and its fonts are there."""
    page.wait_for_function("!window.MathJax || MathJax.startup?.promise !== undefined")
    page.evaluate("window.MathJax?.startup.promise.then(() => document.fonts.ready)")


def install() -> None:
    """Fetch Chromium by the system's packages where we may, else by Playwright; one line where neither can."""
    administrator = [] if os.geteuid() == 0 else ["sudo", "-n"]
    package = [*administrator, "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    attempts = []
    if shutil.which("apt-get") and (not administrator or _succeeds([*administrator, "true"])):
        attempts.append([[*package, "update"], [*package, "install", "--no-install-recommends", "chromium"]])
    attempts.append([[sys.executable, "-m", "playwright", "install", "chromium"]])
    for commands in attempts:
        print("Installing Chromium for the tests of the pages (once):", commands[-1][-3:], flush=True)
        if all(map(_succeeds, commands)) and executable():
            return
    sys.exit(MISSING)


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, capture_output=True, env=environment).returncode == 0
    except OSError:
        return False


if __name__ == "__main__" and not executable():
    install()
