"""The whole life of a booking over REST, with requests. Needs a Holdfast that runs (`make up`).

    pip install requests
    python examples/python/rest.py
"""

import os
import time
import uuid

import requests

CATALOG = os.environ.get("HOLDFAST_CATALOG_HTTP", "http://127.0.0.1:8081")
RESERVATION = os.environ.get("HOLDFAST_RESERVATION_HTTP", "http://127.0.0.1:8082")


class Refused(Exception):
    """What Holdfast refused, with its reason."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.reasons = [detail["reason"] for detail in error["details"] if "reason" in detail]


def call(method, url, body=None, tries=5):
    """Calls, and again when told so: every call may be repeated."""
    for left in reversed(range(tries)):
        answer = requests.request(method, url, json=body, timeout=10)
        if answer.status_code in (429, 503) and left:
            time.sleep(int(answer.headers["retry-after"]))
            continue
        if not answer.ok:
            raise Refused(answer.json())
        return answer.json()


def main():
    product_id, booking_id = str(uuid.uuid4()), str(uuid.uuid4())
    product = {
        "sku": f"requests-{product_id}",
        "displayName": "Concert ticket",
        "price": {"currencyCode": "EUR", "minorUnits": 4900},
        "onHand": 3,
    }
    call("POST", f"{CATALOG}/v1/products?productId={product_id}", product)

    line = {"product": {"productId": product_id, "quantity": 2}}
    request = {"bookingId": booking_id, "customerId": "ada", "hold": True, "lines": [line]}
    booking = call("POST", f"{RESERVATION}/v1/bookings", request)
    print(booking["state"], "until", booking["expireTime"])
    assert call("POST", f"{RESERVATION}/v1/bookings", request)["bookingId"] == booking_id, "a repeat is the same booking"

    try:
        call("POST", f"{RESERVATION}/v1/bookings", {**request, "bookingId": str(uuid.uuid4()), "customerId": "bob"})
        raise AssertionError("there is but one left")
    except Refused as refused:
        print("bob is refused:", refused.reasons)
        assert refused.reasons == ["INSUFFICIENT_STOCK"]

    path = f"{RESERVATION}/v1/bookings/{booking_id}"
    call("POST", f"{path}:extend", {"extension": "60s"})
    print(call("POST", f"{path}:pay", {"success": True})["state"])
    print(call("POST", f"{path}:refund")["state"])
    for entry in call("GET", f"{path}/history")["entries"]:
        print(entry["sequence"], entry["time"], entry["toState"])
    print("done:", booking_id)


if __name__ == "__main__":
    main()
