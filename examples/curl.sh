#!/bin/sh
# The whole life of a booking over REST: held, extended, paid, refunded. Needs curl, and a Holdfast that runs (`make up`).
#   HOLDFAST_CATALOG_HTTP      where the catalog's HTTP port is; http://127.0.0.1:8081 unless set
#   HOLDFAST_RESERVATION_HTTP  where reservation's is; http://127.0.0.1:8082
set -eu
catalog=${HOLDFAST_CATALOG_HTTP:-http://127.0.0.1:8081}
reservation=${HOLDFAST_RESERVATION_HTTP:-http://127.0.0.1:8082}

# Ids are chosen here, so that every call may be repeated when its answer got lost.
uuid() { cat /proc/sys/kernel/random/uuid; }
product=$(uuid)
booking=$(uuid)

# Sends a body, or none, and fails where the answer is no success.
call() {
    method=$1
    url=$2
    shift 2
    echo "$method $url"
    curl -sS --fail-with-body -X "$method" "$url" ${1:+-H 'content-type: application/json' -d "$1"}
    echo
}

call POST "$catalog/v1/products?productId=$product" \
    "{\"sku\": \"curl-$product\", \"displayName\": \"Concert ticket\", \"price\": {\"currencyCode\": \"EUR\", \"minorUnits\": 4900}, \"onHand\": 100}"
call POST "$reservation/v1/bookings" \
    "{\"bookingId\": \"$booking\", \"customerId\": \"ada\", \"hold\": true, \"lines\": [{\"product\": {\"productId\": \"$product\", \"quantity\": 2}}]}"
call POST "$reservation/v1/bookings/$booking:extend" '{"extension": "60s"}'
call POST "$reservation/v1/bookings/$booking:pay" '{"success": true}'
call POST "$reservation/v1/bookings/$booking:refund"
call GET "$reservation/v1/bookings/$booking/history"
call GET "$reservation/v1/bookings?customerId=ada&state=REFUNDED&pageSize=5"
echo "done: $booking"
