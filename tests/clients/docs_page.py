"""Opens /docs in headless Chromium, tries "create booking" out, and shows the other API as well.

    docs_page.py RESERVATION_HTTP_URL SCREENSHOT
"""

import shutil
import sys

from playwright.sync_api import expect, sync_playwright


def try_out(page, operation):
    """Tries an operation out as it is proposed, and answers where its answer is shown, once that is a 200."""
    operation = page.locator(f"#operations-{operation}")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table .response").first
    expect(live.locator(".response-col_status")).to_contain_text("200", timeout=20_000)
    return live


def main(url, screenshot):
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 2200})
        asked, broken = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
        page.goto(f"{url}/docs")

        expect(try_out(page, "Booking-CreateBooking")).to_contain_text("BOOKING_STATE_HELD")
        page.screenshot(path=screenshot)
        print("created: 200")

        # The catalog, from its own port: another origin.
        page.locator(".topbar select").select_option(label="Catalog")
        try_out(page, "Catalog-ListProducts")
        print("listed: 200")

        away = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
        assert not away, f"fetched from elsewhere: {away}"
        assert not broken, f"errors of the page: {broken}"
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
