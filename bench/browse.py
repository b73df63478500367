"""Run by a Python that has Playwright: opens pages in a browser, and tells what they asked the API and what went wrong.

JSON in, `{"browser", "api", "pages": [{"name", "url"}]}`; for each page a line of JSON out, `{"name", "requests", "errors",
"text"}`. A request is `[method, target, status]`, its status null when it was not answered.
"""

import json
import sys
from typing import Any

from playwright.sync_api import Browser, Error, Page, Request, Response, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUIET_MS = 1500
"""For so long a page asks for nothing when it is taken to be complete; pages that poll ask less often."""
MOST_MS = 30_000


def main() -> None:
    """Open each page in a context of its own, one after the other."""
    orders = json.load(sys.stdin)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=orders["browser"], args=FLAGS)
        for page in orders["pages"]:
            print(json.dumps(_visit(browser, page, orders["api"])), flush=True)
        browser.close()


def _visit(browser: Browser, asked: dict[str, str], api: str) -> dict[str, Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    requests: list[list[Any]] = []
    errors: list[str] = []

    def answered(response: Response) -> None:
        if response.url.startswith(api):
            requests.append([response.request.method, response.url.removeprefix(api), response.status])

    def failed(request: Request) -> None:
        if request.url.startswith(api) and request.failure != "net::ERR_ABORTED":  # the page left, or asked anew
            requests.append([request.method, request.url.removeprefix(api), None])

    page.on("response", answered)
    page.on("requestfailed", failed)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(asked["url"], wait_until="load", timeout=MOST_MS)
        _settle(page, requests)
        text = page.inner_text("body")
    except Error as error:
        text = ""
        errors.append(f"the page could not be opened: {error}")
    context.close()
    return {"name": asked["name"], "requests": requests, "errors": errors, "text": text}


def _settle(page: Page, requests: list[list[Any]]) -> None:
    """Wait until nothing has been answered for a while."""
    seen, left = -1, MOST_MS
    while len(requests) != seen and left > 0:
        seen = len(requests)
        page.wait_for_timeout(QUIET_MS)
        left -= QUIET_MS


if __name__ == "__main__":
    main()
