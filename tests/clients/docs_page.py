"""Opens /docs in headless Chromium, tries "create booking" out, and shows the other API as well.

    docs_page.py RESERVATION_HTTP_URL SCREENSHOT
"""

import shutil
import sys

from playwright.sync_api import expect, sync_playwright


def main(url, screenshot):
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 2200})
        asked, broken = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(f"{url}/docs")

        page.locator("#operations-Booking-CreateBooking .opblock-summary-control").click()
        operation = page.locator("#operations-Booking-CreateBooking")
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        live = operation.locator(".live-responses-table .response").first
        expect(live.locator(".response-col_status")).to_contain_text("200", timeout=20_000)
        expect(live).to_contain_text("BOOKING_STATE_HELD")
        page.screenshot(path=screenshot)
        print("created:", live.locator(".response-col_status").inner_text().split()[0])

        # The catalog, from its own port: another origin.
        page.locator(".topbar select").select_option(label="Catalog")
        page.locator("#operations-Catalog-ListProducts .opblock-summary-control").click()
        operation = page.locator("#operations-Catalog-ListProducts")
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        live = operation.locator(".live-responses-table .response").first
        expect(live.locator(".response-col_status")).to_contain_text("200", timeout=20_000)
        print("listed:", live.locator(".response-col_status").inner_text().split()[0])

        away = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
        assert not away, f"fetched from elsewhere: {away}"
        assert not broken, f"errors of the page: {broken}"
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
