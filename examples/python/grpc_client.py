"""The whole life of a booking over gRPC, with grpcio. Needs a Holdfast that runs (`make up`).

    pip install grpcio grpcio-tools
    python examples/python/grpc_client.py

The stubs are generated into a temporary folder; a project of your own would do that once.
"""

import importlib
import os
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

CATALOG = os.environ.get("HOLDFAST_CATALOG", "127.0.0.1:50051")
RESERVATION = os.environ.get("HOLDFAST_RESERVATION", "127.0.0.1:50052")
PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def generate(folder):
    """Generates the stubs of everything in proto/."""
    files = [str(path) for path in PROTO.rglob("*.proto")]
    with_types = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{with_types}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main([*arguments, *files]) != 0:
        raise RuntimeError("protoc failed")
    sys.path.insert(0, folder)


def main():
    with tempfile.TemporaryDirectory() as folder:
        generate(folder)
        life()


def life():
    load = importlib.import_module
    catalog_pb = load("holdfast.catalog.v1.catalog_service_pb2")
    catalog_rpc = load("holdfast.catalog.v1.catalog_service_pb2_grpc")
    item_pb = load("holdfast.catalog.v1.item_pb2")
    money_pb = load("holdfast.catalog.v1.money_pb2")
    product_pb = load("holdfast.catalog.v1.product_pb2")
    booking_pb = load("holdfast.reservation.v1.booking_pb2")
    service_pb = load("holdfast.reservation.v1.booking_service_pb2")
    service_rpc = load("holdfast.reservation.v1.booking_service_pb2_grpc")

    with grpc.insecure_channel(CATALOG) as shop, grpc.insecure_channel(RESERVATION) as desk:
        catalog, bookings = catalog_rpc.CatalogServiceStub(shop), service_rpc.BookingServiceStub(desk)
        product_id, booking_id = str(uuid.uuid4()), str(uuid.uuid4())
        product = product_pb.Product(
            sku=f"grpcio-{product_id}",
            display_name="Concert ticket",
            price=money_pb.Money(currency_code="EUR", minor_units=4900),
            on_hand=100,
        )
        catalog.CreateProduct(catalog_pb.CreateProductRequest(product_id=product_id, product=product), timeout=10)

        def show(booking):
            print(booking_pb.BookingState.Name(booking.state))

        line = booking_pb.Line(product=item_pb.ProductItem(product_id=product_id, quantity=2))
        request = service_pb.CreateBookingRequest(booking_id=booking_id, customer_id="ada", lines=[line], hold=True)
        show(bookings.CreateBooking(request, timeout=10).booking)
        extension = service_pb.ExtendHoldRequest(booking_id=booking_id)
        extension.extension.FromSeconds(60)
        show(bookings.ExtendHold(extension, timeout=10).booking)
        pay = service_pb.PayBookingRequest(booking_id=booking_id, success=True)
        show(bookings.PayBooking(pay, timeout=10).booking)
        show(bookings.RefundBooking(service_pb.RefundBookingRequest(booking_id=booking_id), timeout=10).booking)
        try:
            bookings.CancelBooking(service_pb.CancelBookingRequest(booking_id=booking_id), timeout=10)
            raise AssertionError("what was refunded cannot be cancelled")
        except grpc.RpcError as refused:
            assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION, refused
        history = bookings.ListBookingHistory(
            service_pb.ListBookingHistoryRequest(booking_id=booking_id), timeout=10
        )
        for entry in history.entries:
            print(entry.sequence, entry.time.ToJsonString(), booking_pb.BookingState.Name(entry.to_state))
        print("done:", booking_id)


if __name__ == "__main__":
    main()
