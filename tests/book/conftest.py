"""The book, built once from the stored outputs and served as the published one is, and a browser that reads it."""

import fcntl
import functools
import http.server
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

import building
import chromium
import pytest
import yaml
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> Path:
    """The folder of the built pages. Under xdist the first worker builds and the others wait."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with open(folder / "book.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "book.built").exists():
            building.build(folder)
            (folder / "book.built").touch()
    return folder / "_build" / "html"


CONFIG = yaml.safe_load((building.ROOT / "_config.yml").read_text(encoding="utf-8"))
PATH = urlsplit(CONFIG["html"]["baseurl"]).path.rstrip("/")  # of the published book on its host


class _Published(http.server.SimpleHTTPRequestHandler):
    """The pages below their path, and `404.html` at every other address, as GitHub Pages serves them."""

    protocol_version = "HTTP/1.1"  # one connection for many files

    def translate_path(self, path):
        return super().translate_path(path.removeprefix(PATH) if path.startswith(f"{PATH}/") else "/nowhere")

    def send_error(self, code, message=None, explain=None):
        content = Path(self.directory, "404.html").read_bytes()
        self.send_response(code, message)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def address(pages) -> str:
    """Where the pages are served."""
    handler = functools.partial(_Published, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PATH}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. Its absence is a failure, not a skip: `make test` installs it."""
    program = chromium.executable()
    assert program, chromium.MISSING
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=chromium.FLAGS)
        yield running
        running.close()


def _lost(request) -> bool:
    """Whether a request failed. One that the browser dropped itself, an icon when the next page opens, did not."""
    return request.failure != "net::ERR_ABORTED"


@pytest.fixture
def page(browser):
    """A fresh page that notes what went wrong on it (`page.faults`) and which addresses it asked (`page.asked`)."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        opened = context.new_page()
        opened.faults, opened.asked = [], []
        opened.on("console", lambda line: opened.faults.append(line.text) if line.type == "error" else None)
        opened.on("pageerror", lambda error: opened.faults.append(str(error)))
        opened.on("requestfailed", lambda request: opened.faults.append(request.url) if _lost(request) else None)
        opened.on("request", lambda request: opened.asked.append(request.url))
        yield opened
